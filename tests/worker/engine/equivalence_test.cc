// One workload under many configurations: the tokens must not change.
#include <gtest/gtest.h>

#include "tests/worker/engine/engine_fixture.h"

namespace banyan::worker {
namespace {

using Fixture = EngineFixture;
using Outputs = std::vector<std::vector<TokenId>>;

std::vector<Request> Workload() {
  std::vector<Request> requests;
  for (int32_t i = 0; i < 14; ++i) {
    Request request =
        Fixture::MakeRequest(std::to_string(i), Fixture::Prompt(20 + 5 * i, i, 17), 25);
    request.sampling.temperature = i % 2 == 0 ? 0.0f : 1.0f;
    request.sampling.num_samples = i % 5 == 0 ? 3 : 1;
    request.sampling.ignore_eos = i % 3 == 0;
    request.sampling.frequency_penalty = i % 4 == 0 ? 0.3f : 0.0f;
    request.priority = static_cast<Priority>(i % 3);
    requests.push_back(request);
  }
  return requests;
}

enum class Arrival { kTogether, kOneByOne };

Outputs OutputsOf(const EngineOptions& options, Arrival arrival, uint64_t* num_preemptions) {
  Fixture fixture(options);
  std::vector<std::shared_ptr<testing::RecordingSink>> sinks;
  for (const Request& request : Workload()) {
    sinks.push_back(fixture.Submit(request));
    if (arrival == Arrival::kOneByOne) fixture.Run();
  }
  fixture.Run();
  Outputs outputs;
  for (const auto& sink : sinks) {
    EXPECT_TRUE(sink->status.ok()) << sink->status;
    for (const auto& [index, sample] : sink->samples) outputs.push_back(sample.tokens);
  }
  *num_preemptions = fixture.engine().Stats().preemptions;
  return outputs;
}

class EquivalenceTest : public ::testing::Test {
 protected:
  EquivalenceTest() {
    options_ = Fixture::SmallOptions();
    options_.num_blocks = 1000;
    options_.max_step_tokens = 4000;
    expected_ = OutputsOf(options_, Arrival::kTogether, &num_preemptions_);
  }

  Outputs Run(Arrival arrival = Arrival::kTogether) {
    return OutputsOf(options_, arrival, &num_preemptions_);
  }

  EngineOptions options_;
  Outputs expected_;
  uint64_t num_preemptions_ = 0;
};

TEST_F(EquivalenceTest, PrefixCacheOnOrOff) {
  options_.prefix_cache = false;
  EXPECT_EQ(Run(), expected_);
}

TEST_F(EquivalenceTest, ChunkedOrNot) {
  for (const int32_t budget : {8, 9, 17, 64}) {
    options_.max_step_tokens = budget;
    EXPECT_EQ(Run(), expected_) << budget;
  }
}

TEST_F(EquivalenceTest, AloneOrInABatch) { EXPECT_EQ(Run(Arrival::kOneByOne), expected_); }

TEST_F(EquivalenceTest, PreemptedOrNot) {
  options_.num_blocks = 50;
  EXPECT_EQ(Run(), expected_);
  EXPECT_GT(num_preemptions_, 0u);
}

TEST_F(EquivalenceTest, AnyBlockSize) {
  for (const int32_t block_size : {1, 3, 16, 256}) {
    options_.block_size = block_size;
    EXPECT_EQ(Run(), expected_) << block_size;
  }
}

TEST_F(EquivalenceTest, PlansAreAPureFunctionOfWhatHappened) {
  options_.num_blocks = 50;
  const auto plans = [this] {
    Fixture fixture(options_);
    std::vector<std::tuple<size_t, int64_t, int32_t, BlockId>> seen;
    fixture.executor().SetPlanObserver([&seen](const StepPlan& plan) {
      for (const SequencePlan& sequence : plan.sequences) {
        seen.emplace_back(plan.copies.size(), static_cast<int64_t>(sequence.sequence),
                          static_cast<int32_t>(sequence.new_tokens.size()),
                          sequence.block_table.back());
      }
    });
    for (const Request& request : Workload()) fixture.Submit(request);
    fixture.Run();
    return seen;
  };
  EXPECT_EQ(plans(), plans());
}

}  // namespace
}  // namespace banyan::worker
