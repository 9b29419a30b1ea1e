// KV waste: slots that are allocated and hold no token, over slots allocated, averaged over the
// steps of a saturated engine on a chat-like length mix. Block 16 and neighbours; the goal is < 4%.
// Besides, the engine's own CPU time per turn (the executor computes nothing).
//   cache_waste_bench [number of requests, default 600]
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "tests/testing/length_mix.h"
#include "tests/testing/recording_sink.h"
#include "worker/engine/paged_engine.h"

namespace banyan::worker {
namespace {

constexpr int32_t kContextLength = 2048;

// Returns a token per row and computes nothing: lengths alone matter here.
class NullExecutor final : public StepExecutor {
 public:
  absl::Status Execute(const StepPlan& plan, StepResult& result) override {
    result.tokens.clear();
    for (const SequencePlan& sequence : plan.sequences) {
      for (size_t i = 0; i < sequence.samples.size(); ++i) {
        result.tokens.emplace_back().token = static_cast<TokenId>(plan.step % 1000);
      }
    }
    return absl::OkStatus();
  }
};

struct Measured {
  double waste = 0;
  double turn_us = 0;    // CPU time
  double sequences = 0;  // per turn
};

Measured Measure(int32_t block_size, int num_requests) {
  EngineOptions options;
  options.block_size = block_size;
  options.num_blocks = 65'536 / block_size;
  options.context_length = kContextLength;
  options.vocabulary_size = 1000;
  options.max_step_tokens = 2048;
  options.max_running_sequences = 128;
  options.max_waiting_requests = num_requests;
  NullExecutor executor;
  FakeClock clock;
  PagedEngine engine(options, executor, clock);
  testing::LengthMix mix(1, kContextLength);
  for (int i = 0; i < num_requests; ++i) {
    const testing::RequestLengths lengths = mix.Next();
    Request request;
    request.id = std::to_string(i);
    request.prompt.assign(static_cast<size_t>(lengths.prompt), i % 1000);
    request.cache_salt = {1, static_cast<uint64_t>(i)};  // nothing is shared
    request.sampling.max_tokens = lengths.output;
    const absl::Status status =
        engine.Submit(std::move(request), std::make_shared<testing::RecordingSink>());
    BANYAN_CHECK(status.ok()) << status.ToString();
  }
  double allocated = 0;
  double unused = 0;
  std::clock_t spent = 0;
  for (;;) {
    const std::clock_t begin = std::clock();
    const bool computed = *engine.Step();
    spent += std::clock() - begin;
    if (!computed) break;
    const Scheduler::SlotUse use = engine.KvSlots();
    allocated += static_cast<double>(use.allocated);
    unused += static_cast<double>(use.unused);
  }
  const double steps = static_cast<double>(engine.Stats().steps);
  return {unused / allocated, 1e6 * static_cast<double>(spent) / CLOCKS_PER_SEC / steps,
          static_cast<double>(engine.Stats().generated_tokens) / steps};
}

}  // namespace
}  // namespace banyan::worker

int main(int argc, char** argv) {
  const int num_requests = argc > 1 ? std::atoi(argv[1]) : 600;
  std::printf("%10s %12s %20s %12s\n", "block size", "KV waste, %", "sequences per turn",
              "us per turn");
  for (const int32_t block_size : {8, 16, 32, 64}) {
    const banyan::worker::Measured measured = banyan::worker::Measure(block_size, num_requests);
    std::printf("%10d %12.2f %20.1f %12.1f\n", block_size, 100 * measured.waste, measured.sequences,
                measured.turn_us);
  }
  return 0;
}
