// The plans themselves: what a step computes, copies and draws.
#include "worker/scheduler/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/recording_sink.h"

namespace banyan::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SchedulerTest : public ::testing::Test {
 protected:
  static constexpr int32_t kBlockSize = 4;

  Request MakeRequest(std::string id, int32_t num_prompt, int32_t max_tokens) {
    Request request;
    request.id = std::move(id);
    for (int32_t i = 0; i < num_prompt; ++i) request.prompt.push_back(i + 1);
    request.cache_salt = {1, next_salt_++};  // nothing is shared unless a test says so
    request.sampling.max_tokens = max_tokens;
    return request;
  }

  void Add(const Request& request) {
    scheduler_.Add(request, std::make_shared<testing::RecordingSink>(), now_);
  }

  // Plans a step, draws 50, 51, ... for its rows and commits. Returns the plan.
  StepPlan Step() {
    const StepPlan plan = scheduler_.Plan(now_);
    StepResult result;
    for (const SequencePlan& sequence : plan.sequences) {
      for (const SamplePlan& sample : sequence.samples) {
        kernels::SampledToken& token = result.tokens.emplace_back();
        token.token = sample.row.forced >= 0 ? sample.row.forced : next_token_++;
      }
    }
    if (!plan.sequences.empty()) scheduler_.Commit(result, now_);
    scheduler_.CheckInvariants();
    now_ += std::chrono::milliseconds(1);
    return plan;
  }

  static std::vector<size_t> NumNewTokens(const StepPlan& plan) {
    std::vector<size_t> counts;
    for (const SequencePlan& sequence : plan.sequences)
      counts.push_back(sequence.new_tokens.size());
    return counts;
  }

  TimePoint now_{std::chrono::hours(1)};
  CacheEventLog log_{32, 1 << 20};
  RadixCache cache_{{32, kBlockSize}, log_};
  Scheduler scheduler_{{.max_step_tokens = 12, .max_running_sequences = 4, .eos_token_ids = {}},
                       cache_};
  uint64_t next_salt_ = 1;
  TokenId next_token_ = 50;
};

TEST_F(SchedulerTest, DecodesComeFirstThenPrefillThenAdmissions) {
  Add(MakeRequest("a", 5, 9));
  EXPECT_THAT(NumNewTokens(Step()), ElementsAre(5));
  Add(MakeRequest("b", 20, 9));
  Add(MakeRequest("c", 3, 9));
  EXPECT_THAT(NumNewTokens(Step()), ElementsAre(1, 11)) << "a decodes, b's chunk fills the step";
  EXPECT_THAT(NumNewTokens(Step()), ElementsAre(1, 9, 2)) << "b ends, c begins with what is left";
  EXPECT_THAT(NumNewTokens(Step()), ElementsAre(1, 1, 1));
}

TEST_F(SchedulerTest, AChunkDrawsNothingUntilThePromptEnds) {
  Add(MakeRequest("a", 20, 9));
  EXPECT_THAT(Step().sequences.at(0).samples, IsEmpty());
  const StepPlan last = Step();
  EXPECT_EQ(last.sequences.at(0).num_cached, 12);
  ASSERT_THAT(last.sequences.at(0).samples, SizeIs(1));
  EXPECT_EQ(last.sequences.at(0).samples[0].new_token, 7);
  EXPECT_EQ(last.sequences.at(0).samples[0].row.position, 20u);
}

TEST_F(SchedulerTest, SamplesDrawFromOneRowAndCopyThePartialBlockWhenTheyWrite) {
  Request request = MakeRequest("a", 6, 9);
  request.sampling.num_samples = 3;
  Add(request);
  const StepPlan prompt = Step();
  ASSERT_THAT(prompt.sequences, SizeIs(1));
  ASSERT_THAT(prompt.sequences[0].samples, SizeIs(3));
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(prompt.sequences[0].samples[i].new_token, 5);
    EXPECT_EQ(prompt.sequences[0].samples[i].row.sample_index, i);
  }
  EXPECT_EQ(cache_.num_held(), 2);
  const StepPlan decode = Step();
  ASSERT_THAT(decode.copies, SizeIs(2)) << "the last writer has the block for itself";
  const BlockId shared = prompt.sequences[0].block_table[1];
  EXPECT_EQ(decode.copies[0].from, shared);
  EXPECT_EQ(decode.copies[1].from, shared);
  EXPECT_EQ(decode.sequences[2].block_table[1], shared);
  for (const SequencePlan& sequence : decode.sequences) {
    EXPECT_EQ(sequence.block_table[0], prompt.sequences[0].block_table[0]);
  }
  EXPECT_THAT(Step().copies, IsEmpty());
}

TEST_F(SchedulerTest, AnUnforkedRequestTakesTheSlotsOfAllItsSamples) {
  Request request = MakeRequest("a", 20, 9);
  request.sampling.num_samples = 3;
  Add(request);
  request = MakeRequest("b", 3, 9);
  request.sampling.num_samples = 2;
  Add(request);
  Add(MakeRequest("c", 3, 9));
  Step();
  const StepPlan plan = Step();
  EXPECT_THAT(NumNewTokens(plan), ElementsAre(8, 3)) << "b needs two slots, one is left: c passes";
}

TEST_F(SchedulerTest, AnEqualPromptIsFoundExceptForItsLastToken) {
  const Request request = MakeRequest("a", 8, 1);
  Add(request);
  Step();
  Request again = request;
  again.id = "b";
  Add(again);
  const StepPlan plan = Step();
  EXPECT_EQ(plan.sequences.at(0).num_cached, 4) << "the block with the last token is computed";
  EXPECT_EQ(cache_.num_findable(), 2) << "and joined with the one that was there";
}

TEST_F(SchedulerTest, GeneratedTokensAreFoundByTheNextTurnOfAConversation) {
  const Request first = MakeRequest("a", 6, 7);
  Add(first);
  while (!scheduler_.empty()) Step();
  Request second = first;
  second.id = "b";
  for (TokenId token = 50; token < 57; ++token) second.prompt.push_back(token);
  Add(second);
  EXPECT_EQ(Step().sequences.at(0).num_cached, 12) << "6 of the prompt, 6 generated";
}

TEST_F(SchedulerTest, NeverPlansMoreThanTheBudget) {
  for (int i = 0; i < 12; ++i) Add(MakeRequest(std::to_string(i), 3 + 5 * (i % 4), 6));
  while (!scheduler_.empty()) {
    const StepPlan plan = Step();
    EXPECT_LE(plan.num_tokens, 12);
    EXPECT_LE(plan.sequences.size(), 4u);
  }
}

}  // namespace
}  // namespace banyan::worker
