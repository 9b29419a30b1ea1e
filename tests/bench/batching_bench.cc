// Continuous against request-level batching (Yu et al. 2022, Orca, section 6): the highest rate of
// a long-tailed length mix that each sustains within the same p99 of normalised latency (end-to-end
// time per output token).
//
// Both run the real engine on a fake clock; a step costs base + per_token * tokens.
// Request-level batching is the same engine fed a batch at a time: the next batch is
// submitted when all of the last one has ended, and every request of a batch is padded to its
// longest output, as a batch that cannot let go of a finished request computes.
//   batching_bench [number of requests, default 400]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <vector>

#include "tests/testing/length_mix.h"
#include "tests/testing/recording_sink.h"
#include "worker/engine/paged_engine.h"

namespace banyan::worker {
namespace {

constexpr int32_t kContextLength = 2048;
constexpr int32_t kBatch = 32;
// A small model on a CPU: 20 ms to read the weights, then 0.2 ms a token.
constexpr Duration kBase = std::chrono::milliseconds(20);
constexpr Duration kPerToken = std::chrono::microseconds(200);
// Shorter answers have no time per token to speak of: they are computed but not counted.
constexpr int32_t kOutputMin = 32;

class TimedExecutor final : public StepExecutor {
 public:
  explicit TimedExecutor(FakeClock& clock) : clock_(clock) {}
  absl::Status Execute(const StepPlan& plan, StepResult& result) override {
    result.tokens.clear();
    for (const SequencePlan& sequence : plan.sequences) {
      for (size_t i = 0; i < sequence.samples.size(); ++i) {
        result.tokens.emplace_back().token = static_cast<TokenId>(plan.step % 1000);
      }
    }
    clock_.Advance(kBase + plan.num_tokens * kPerToken);
    return absl::OkStatus();
  }

 private:
  FakeClock& clock_;
};

enum class Batching { kContinuous, kRequestLevel };

struct Arrival {
  TimePoint at{};
  testing::RequestLengths lengths;
  std::shared_ptr<testing::RecordingSink> sink;
};

// A measure of latency and the limit that both must keep.
struct Goal {
  const char* name;
  size_t percentile;
  bool per_output_token;
  double limit_s;
};

constexpr Goal kGoals[] = {
    {"median seconds per token", 50, true, 0.1},
    {"p99 seconds per token", 99, true, 0.25},
    {"p99 seconds", 99, false, 60},
};

// What a request took.
struct Took {
  double seconds = 0;
  int32_t num_output = 0;
};

// Feeds arrivals to an engine and says what each request took.
class Server {
 public:
  Server(Batching batching, double per_second, int num_requests)
      : batching_(batching), executor_(clock_), engine_(Options(num_requests), executor_, clock_) {
    testing::LengthMix mix(1, kContextLength);
    TimePoint at = clock_.Now();
    for (int i = 0; i < num_requests; ++i) {
      at += std::chrono::duration_cast<Duration>(
          std::chrono::duration<double>(mix.NextGap(per_second)));
      waiting_.push_back({at, mix.Next(), nullptr});
    }
  }

  std::vector<Took> Run() {
    while (!waiting_.empty() || !inside_.empty()) {
      if (inside_.empty())
        clock_.Advance(std::max(Duration{0}, waiting_.front().at - clock_.Now()));
      Feed();
      BANYAN_CHECK(engine_.Step().ok());
      Collect();
    }
    return took_;
  }

 private:
  static EngineOptions Options(int num_requests) {
    EngineOptions options;
    options.num_blocks = kBatch * kContextLength / options.block_size;
    options.context_length = kContextLength;
    options.vocabulary_size = 1000;
    options.max_step_tokens = 512;
    options.max_running_sequences = kBatch;
    options.max_waiting_requests = num_requests;
    options.prefix_cache = false;
    return options;
  }

  void Feed() {
    if (batching_ == Batching::kRequestLevel && !inside_.empty()) return;
    std::vector<Arrival> batch;
    while (!waiting_.empty() && waiting_.front().at <= clock_.Now() &&
           (batching_ == Batching::kContinuous || batch.size() < kBatch)) {
      batch.push_back(waiting_.front());
      waiting_.pop_front();
    }
    int32_t longest = 0;
    for (const Arrival& arrival : batch) longest = std::max(longest, arrival.lengths.output);
    for (Arrival& arrival : batch) {
      Request request;
      request.id = std::to_string(next_id_++);
      request.prompt.assign(static_cast<size_t>(arrival.lengths.prompt), 1);
      request.sampling.max_tokens =
          batching_ == Batching::kContinuous ? arrival.lengths.output : longest;
      arrival.sink = std::make_shared<testing::RecordingSink>();
      const absl::Status status = engine_.Submit(std::move(request), arrival.sink);
      BANYAN_CHECK(status.ok()) << status.ToString();
      inside_.push_back(std::move(arrival));
    }
  }

  void Collect() {
    std::erase_if(inside_, [this](const Arrival& arrival) {
      if (!arrival.sink->finished) return false;
      if (arrival.lengths.output >= kOutputMin) {
        took_.push_back({ToSeconds(clock_.Now() - arrival.at), arrival.lengths.output});
      }
      return true;
    });
  }

  const Batching batching_;
  FakeClock clock_;
  TimedExecutor executor_;
  PagedEngine engine_;
  std::deque<Arrival> waiting_;
  std::vector<Arrival> inside_;
  std::vector<Took> took_;
  int next_id_ = 0;
};

double LatencyOf(Batching batching, const Goal& goal, double per_second, int num_requests) {
  std::vector<double> values;
  for (const Took& took : Server(batching, per_second, num_requests).Run()) {
    values.push_back(goal.per_output_token ? took.seconds / took.num_output : took.seconds);
  }
  std::ranges::sort(values);
  return values[values.size() * goal.percentile / 100];
}

double HighestRate(Batching batching, const Goal& goal, int num_requests) {
  double low = 0.001;
  double high = 20;
  for (int i = 0; i < 12; ++i) {
    const double middle = std::sqrt(low * high);
    const bool keeps = LatencyOf(batching, goal, middle, num_requests) <= goal.limit_s;
    (keeps ? low : high) = middle;
  }
  return low;
}

}  // namespace
}  // namespace banyan::worker

int main(int argc, char** argv) {
  using banyan::worker::Batching;
  const int num_requests = argc > 1 ? std::atoi(argv[1]) : 400;
  std::printf("%-26s %8s %12s %14s %6s\n", "highest rate, requests/s", "limit", "continuous",
              "request-level", "ratio");
  for (const banyan::worker::Goal& goal : banyan::worker::kGoals) {
    const double continuous =
        banyan::worker::HighestRate(Batching::kContinuous, goal, num_requests);
    const double by_request =
        banyan::worker::HighestRate(Batching::kRequestLevel, goal, num_requests);
    std::printf("%-26s %8.2f %12.3f %14.3f %6.1f\n", goal.name, goal.limit_s, continuous,
                by_request, continuous / by_request);
  }
  return 0;
}
