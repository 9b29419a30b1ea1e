#include "worker/service/response_queue.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace banyan::worker {
namespace {

using ::testing::ElementsAre;

SampleUpdate Update(int32_t index, int32_t first_position, std::vector<TokenId> tokens) {
  SampleUpdate update;
  update.index = index;
  update.first_position = first_position;
  update.tokens = std::move(tokens);
  return update;
}

void Add(ResponseQueue& queue, std::vector<SampleUpdate> updates) { queue.AddTokens(updates); }

TEST(ResponseQueueTest, NothingIsSentBeforeTheFirstToken) {
  ResponseQueue queue;
  queue.Start({.prompt_tokens = 3, .cached_tokens = 2}, {});
  EXPECT_TRUE(queue.empty());
  Add(queue, {Update(0, 0, {7})});
  const v1::GenerateTokensResponse first = queue.Pop();
  EXPECT_EQ(first.usage().prompt_tokens(), 3u);
  EXPECT_EQ(first.usage().cached_tokens(), 2u);
  EXPECT_THAT(first.samples(0).token_ids(), ElementsAre(7));
  Add(queue, {Update(0, 1, {8})});
  EXPECT_FALSE(queue.Pop().has_usage());
}

TEST(ResponseQueueTest, WaitingTokensCoalesceBySample) {
  ResponseQueue queue;
  Add(queue, {Update(0, 4, {1}), Update(1, 0, {2})});
  Add(queue, {Update(1, 1, {3}), Update(0, 5, {4})});
  ASSERT_EQ(queue.size(), 1u);
  const v1::GenerateTokensResponse message = queue.Pop();
  ASSERT_EQ(message.samples_size(), 2);
  EXPECT_EQ(message.samples(0).first_position(), 4u);
  EXPECT_THAT(message.samples(0).token_ids(), ElementsAre(1, 4));
  EXPECT_THAT(message.samples(1).token_ids(), ElementsAre(2, 3));
}

TEST(ResponseQueueTest, LargeBacklogsAreCutIntoMessages) {
  ResponseQueue queue;
  const int32_t step = 1'000;
  for (int32_t i = 0; i < 50; ++i) {
    Add(queue, {Update(0, i * step, std::vector<TokenId>(static_cast<size_t>(step), 1))});
  }
  EXPECT_GT(queue.size(), 1u);
  uint32_t position = 0;
  while (!queue.empty()) {
    const v1::GenerateTokensResponse message = queue.Pop();
    EXPECT_LE(message.ByteSizeLong(), 2 * kResponseBytesTarget);
    EXPECT_EQ(message.samples(0).first_position(), position);
    position += static_cast<uint32_t>(message.samples(0).token_ids_size());
  }
  EXPECT_EQ(position, 50'000u);
}

TEST(ResponseQueueTest, TheEndJoinsTheLastTokens) {
  ResponseQueue queue;
  SampleUpdate last = Update(0, 0, {9});
  last.finish_reason = FinishReason::kStop;
  last.stop_token = 9;
  Add(queue, {last});
  queue.End({.completion_tokens = 1}, {.queue = std::chrono::microseconds(5),
                                       .prefill = std::chrono::microseconds(6),
                                       .decode = std::chrono::microseconds(7),
                                       .num_preemptions = 2});
  ASSERT_EQ(queue.size(), 1u);
  const v1::GenerateTokensResponse message = queue.Pop();
  EXPECT_EQ(message.samples(0).finish_reason(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(message.samples(0).stop_token_id(), 9u);
  EXPECT_EQ(message.usage().completion_tokens(), 1u);
  EXPECT_EQ(message.timing().queue_us(), 5u);
  EXPECT_EQ(message.timing().prefill_us(), 6u);
  EXPECT_EQ(message.timing().decode_us(), 7u);
  EXPECT_EQ(message.timing().num_preemptions(), 2u);
}

TEST(ResponseQueueTest, TheEndStandsAloneWhereNothingWaits) {
  ResponseQueue queue;
  Add(queue, {Update(0, 0, {9})});
  queue.Pop();
  queue.End({.completion_tokens = 1}, {});
  const v1::GenerateTokensResponse message = queue.Pop();
  EXPECT_TRUE(message.samples().empty());
  EXPECT_TRUE(message.has_usage());
  EXPECT_TRUE(message.has_timing());
}

TEST(ResponseQueueTest, LogprobsAreColumnsWithoutInfinities) {
  ResponseQueue queue;
  TokenLogprobs prompt;
  prompt.num_top = 0;
  prompt.tokens = {4};
  prompt.logprobs = {-1};
  queue.Start({}, prompt);
  SampleUpdate update = Update(0, 0, {1});
  update.logprobs = {.num_top = 2,
                     .tokens = {1},
                     .logprobs = {-std::numeric_limits<float>::infinity()},
                     .top_tokens = {1, 2},
                     .top_logprobs = {-0.5f, -2}};
  Add(queue, {update});
  const v1::GenerateTokensResponse message = queue.Pop();
  EXPECT_THAT(message.prompt_logprobs().token_ids(), ElementsAre(4));
  EXPECT_THAT(message.samples(0).logprobs().logprobs(), ElementsAre(-9999));
  EXPECT_EQ(message.samples(0).logprobs().num_top(), 2u);
  EXPECT_THAT(message.samples(0).logprobs().top_token_ids(), ElementsAre(1, 2));
  EXPECT_THAT(message.samples(0).logprobs().top_logprobs(), ElementsAre(-0.5f, -2));
}

TEST(ResponseQueueDeathTest, AGapIsABug) {
  ResponseQueue queue;
  Add(queue, {Update(0, 0, {1})});
  EXPECT_DEATH(Add(queue, {Update(0, 2, {1})}), "gap in the output of sample 0");
}

}  // namespace
}  // namespace banyan::worker
