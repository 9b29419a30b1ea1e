// Token histories, stop rules and the rows planned from them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/sampling/sample_planner.h"
#include "worker/sampling/stop_rules.h"
#include "worker/sampling/token_history.h"

namespace banyan::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<TokenId> TokensOf(const TokenHistory& history) {
  std::vector<TokenId> tokens;
  for (const kernels::LogitAdjustment& entry : history.adjustments()) tokens.push_back(entry.token);
  return tokens;
}

TEST(TokenHistoryTest, PlainRequestsHaveNoAdjustments) {
  TokenHistory history(SamplingParams{}, std::vector<TokenId>{1, 2, 3});
  history.Append(4);
  EXPECT_THAT(history.adjustments(), IsEmpty());
}

TEST(TokenHistoryTest, RepetitionPenaltySeesPromptAndOutputAscending) {
  SamplingParams params;
  params.repetition_penalty = 1.2f;
  TokenHistory history(params, std::vector<TokenId>{9, 2, 9});
  history.Append(5);
  history.Append(2);
  EXPECT_THAT(TokensOf(history), ElementsAre(2, 5, 9));
  EXPECT_EQ(history.adjustments()[0].output_count, 1);
  EXPECT_EQ(history.adjustments()[2].output_count, 0) << "prompt tokens are not counted";
  EXPECT_TRUE(history.adjustments()[2].seen);
}

TEST(TokenHistoryTest, FrequencyPenaltyCountsOutputsOnly) {
  SamplingParams params;
  params.frequency_penalty = 0.5f;
  TokenHistory history(params, std::vector<TokenId>{9, 2});
  for (const TokenId token : {4, 4, 1}) history.Append(token);
  EXPECT_THAT(TokensOf(history), ElementsAre(1, 4));
  EXPECT_EQ(history.adjustments()[1].output_count, 2);
}

TEST(TokenHistoryTest, BiasAndCountsShareAnEntry) {
  SamplingParams params;
  params.logit_bias = {{4, -100.0f}, {8, 2.0f}};
  params.presence_penalty = 1;
  TokenHistory history(params, {});
  history.Append(8);
  EXPECT_THAT(TokensOf(history), ElementsAre(4, 8));
  EXPECT_EQ(history.adjustments()[1].bias, 2.0f);
  EXPECT_EQ(history.adjustments()[1].output_count, 1);
  EXPECT_FALSE(history.adjustments()[0].seen);
}

TEST(StopRulesTest, EndsAtStopAndEndTokensButNotAtIgnoredOnes) {
  SamplingParams params;
  params.stop_token_ids = {40};
  params.max_tokens = 10;
  const std::vector<TokenId> eos = {7};
  EXPECT_EQ(StopRules(params, eos).Check(7, 1), FinishReason::kStop);
  EXPECT_EQ(StopRules(params, eos).Check(40, 1), FinishReason::kStop);
  EXPECT_EQ(StopRules(params, eos).Check(8, 1), FinishReason::kNone);
  params.ignore_eos = true;
  EXPECT_EQ(StopRules(params, eos).Check(7, 1), FinishReason::kNone);
  EXPECT_EQ(StopRules(params, eos).Check(40, 1), FinishReason::kStop);
}

TEST(StopRulesTest, MaxTokensEndsWithLengthUnlessAStopTokenCame) {
  SamplingParams params;
  params.max_tokens = 3;
  const StopRules rules(params, std::vector<TokenId>{7});
  EXPECT_EQ(rules.Check(1, 2), FinishReason::kNone);
  EXPECT_EQ(rules.Check(1, 3), FinishReason::kLength);
  EXPECT_EQ(rules.Check(7, 3), FinishReason::kStop);
}

TEST(StopRulesTest, MinTokensBansStopTokensAndThenLetsThem) {
  SamplingParams params;
  params.min_tokens = 2;
  params.max_tokens = 9;
  params.stop_token_ids = {40, 3};
  const StopRules rules(params, std::vector<TokenId>{7});
  EXPECT_THAT(rules.Banned(1), ElementsAre(3, 7, 40));
  EXPECT_THAT(rules.Banned(2), IsEmpty());
  EXPECT_EQ(rules.Check(7, 2), FinishReason::kNone) << "ignored among the first two";
  EXPECT_EQ(rules.Check(7, 3), FinishReason::kStop);
}

TEST(StopRulesTest, NeverBansEverythingThatIsAllowed) {
  SamplingParams params;
  params.min_tokens = 2;
  params.allowed_token_ids = {7};
  const StopRules rules(params, std::vector<TokenId>{7});
  EXPECT_THAT(rules.Banned(0), IsEmpty());
}

TEST(SamplePlannerTest, RowCarriesWhatTheRequestAsksFor) {
  SamplingParams params;
  params.temperature = 0.001f;
  params.top_k = 5;
  params.top_p = 0.9f;
  params.min_p = 0.1f;
  params.seed = 77;
  params.min_tokens = 4;
  params.num_logprobs = 2;
  params.allowed_token_ids = {1, 2};
  const StopRules rules(params, std::vector<TokenId>{7});
  const TokenHistory history(params, {});
  const SamplePlan plan = PlanDraw(params, rules, history, {3, 1, 20, 2});
  EXPECT_EQ(plan.new_token, 3);
  EXPECT_EQ(plan.row.sample_index, 1u);
  EXPECT_EQ(plan.row.position, 20u);
  EXPECT_EQ(plan.row.temperature, 0.01f) << "the smallest that is not greedy";
  EXPECT_EQ(plan.row.top_k, 5);
  EXPECT_EQ(plan.row.seed, 77u);
  EXPECT_EQ(plan.row.num_logprobs, 2);
  EXPECT_EQ(plan.row.forced, -1);
  EXPECT_THAT(plan.allowed, ElementsAre(1, 2));
  EXPECT_THAT(plan.banned, ElementsAre(7));
}

TEST(SamplePlannerTest, PromptLogprobRowsAreForced) {
  SamplingParams params;
  params.num_prompt_logprobs = 3;
  const SamplePlan plan = PlanPromptLogprob(params, 5, 42);
  EXPECT_EQ(plan.row.forced, 42);
  EXPECT_EQ(plan.row.num_logprobs, 3);
}

TEST(SamplePlannerTest, LogprobTablesAreColumns) {
  kernels::SampledToken sampled;
  sampled.token = 4;
  sampled.logprob = -1;
  sampled.num_top = 2;
  sampled.top_tokens[0] = 9;
  sampled.top_tokens[1] = 4;
  TokenLogprobs table;
  AppendLogprobs(sampled, 2, table);
  AppendLogprobs(sampled, 2, table);
  EXPECT_THAT(table.tokens, ElementsAre(4, 4));
  EXPECT_THAT(table.top_tokens, ElementsAre(9, 4, 9, 4));
  EXPECT_EQ(LogprobsSizeBytes(2, 2), 48u);
}

}  // namespace
}  // namespace banyan::worker
