// Sampling: filters against a brute-force statement of the rule, and properties of the draw.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "tests/kernels/reference/op_fixture.h"

namespace banyan::kernels::testing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

SampledToken SampleOne(const std::vector<float>& logits, const SamplingRow& row) {
  auto backend = MakeReference();
  OwnedMatrix matrix(1, static_cast<int64_t>(logits.size()), logits);
  SampledToken out;
  backend->Sample({.logits = matrix.view(), .rows = &row, .out = &out});
  return out;
}

// Ids that come up within many draws at different positions.
std::set<TokenId> Support(const std::vector<float>& logits, SamplingRow row, int draws = 2000) {
  std::set<TokenId> support;
  auto backend = MakeReference();
  OwnedMatrix matrix(1, static_cast<int64_t>(logits.size()), logits);
  for (int i = 0; i < draws; ++i) {
    row.position = static_cast<uint64_t>(i);
    SampledToken out;
    backend->Sample({.logits = matrix.view(), .rows = &row, .out = &out});
    support.insert(out.token);
  }
  return support;
}

TEST(ReferenceSampleTest, GreedyTakesTheLargestLogitAndTheLowestIdOnATie) {
  EXPECT_EQ(SampleOne({1, 5, 5, 2}, {.temperature = 0}).token, 1);
}

TEST(ReferenceSampleTest, FrequenciesFollowTheSoftmaxAtTheTemperature) {
  const std::vector<float> logits = {0.0f, 1.0f, 2.0f, -1.0f};
  std::map<TokenId, int> counts;
  auto backend = MakeReference();
  OwnedMatrix matrix(1, 4, logits);
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    SamplingRow row{.temperature = 0.5f, .seed = 9, .position = static_cast<uint64_t>(i)};
    SampledToken out;
    backend->Sample({.logits = matrix.view(), .rows = &row, .out = &out});
    ++counts[out.token];
  }
  double total = 0;
  for (float logit : logits) total += std::exp(logit / 0.5);
  for (TokenId id = 0; id < 4; ++id) {
    const double expected = std::exp(logits[static_cast<size_t>(id)] / 0.5) / total;
    EXPECT_NEAR(counts[id] / double{kDraws}, expected, 0.012) << id;
  }
}

TEST(ReferenceSampleTest, ADrawDependsOnlyOnSeedSampleAndPosition) {
  const std::vector<float> logits = RandomValues(500, 3);
  const SamplingRow row{.seed = 1, .sample_index = 2, .position = 3};
  const TokenId token = SampleOne(logits, row).token;
  EXPECT_EQ(SampleOne(logits, row).token, token);
  std::set<TokenId> others;
  for (uint64_t position = 4; position < 12; ++position) {
    others.insert(SampleOne(logits, {.seed = 1, .sample_index = 2, .position = position}).token);
  }
  EXPECT_GT(others.size(), 4u);
}

TEST(ReferenceSampleTest, TopKKeepsExactlyKWithTheLowestIdsOfATie) {
  EXPECT_EQ(Support({1, 2, 2, 2, 0}, {.top_k = 2}), (std::set<TokenId>{1, 2}));
  EXPECT_EQ(Support({1, 2, 2, 2, 0}, {.top_k = 9}).size(), 5u);
}

TEST(ReferenceSampleTest, TopPKeepsTheTokenThatReachesTheMass) {
  // Probabilities 0.5, 0.25, 0.125, 0.125.
  const float ln2 = std::log(2.0f);
  const std::vector<float> logits = {-2 * ln2, -ln2, -3 * ln2, -3 * ln2};
  EXPECT_EQ(Support(logits, {.top_p = 0.4f}), (std::set<TokenId>{1}));
  EXPECT_EQ(Support(logits, {.top_p = 0.6f}), (std::set<TokenId>{0, 1}));
  EXPECT_EQ(Support(logits, {.top_p = 0.8f}), (std::set<TokenId>{0, 1, 2}));
  EXPECT_EQ(Support(logits, {.top_p = 1e-9f}), (std::set<TokenId>{1}));
  EXPECT_EQ(Support({0, 0}, {.top_p = 0.5f}), (std::set<TokenId>{0}));  // reached exactly
  // After top_k the mass is that of the kept ones: 0.5 / 0.75 > 0.6.
  EXPECT_EQ(Support(logits, {.top_k = 2, .top_p = 0.6f}), (std::set<TokenId>{1}));
}

TEST(ReferenceSampleTest, TheRankingTellsLogitsApartThatTheShiftByTheMaximumMerges) {
  const std::vector<float> logits = {1e-6f, 2e-6f, 256.0f};
  ASSERT_EQ(logits[0] - logits[2], logits[1] - logits[2]);
  // Shares of 0.07, 0.07 and 0.87.
  EXPECT_EQ(Support(logits, {.temperature = 100}), (std::set<TokenId>{0, 1, 2}));
  EXPECT_EQ(Support(logits, {.temperature = 100, .top_k = 2}), (std::set<TokenId>{1, 2}));
  EXPECT_EQ(Support(logits, {.temperature = 100, .top_p = 0.9f}), (std::set<TokenId>{1, 2}));
}

TEST(ReferenceSampleTest, MinPKeepsTokensAboveAShareOfTheLargest) {
  const std::vector<float> logits = {0, -1, -2, -3};  // 1, 0.37, 0.135, 0.05 of the largest
  EXPECT_EQ(Support(logits, {.min_p = 0.3f}), (std::set<TokenId>{0, 1}));
  EXPECT_EQ(Support(logits, {.temperature = 4, .min_p = 0.5f}), (std::set<TokenId>{0, 1, 2}));
  EXPECT_EQ(Support(logits, {.min_p = 1.0f}), (std::set<TokenId>{0}));
}

TEST(ReferenceSampleTest, OnlyAllowedTokensThatAreNotBannedAreDrawn) {
  const TokenId allowed[] = {1, 3, 4};
  const TokenId banned[] = {3};
  SamplingRow row;
  row.allowed = allowed;
  row.num_allowed = 3;
  row.banned = banned;
  row.num_banned = 1;
  EXPECT_EQ(Support({9, 0, 9, 9, 0}, row), (std::set<TokenId>{1, 4}));
}

TEST(ReferenceSampleTest, AdjustmentsChangeTheDraw) {
  const LogitAdjustment adjustments[] = {{.token = 0, .bias = -kInfinity},
                                         {.token = 2, .output_count = 2, .seen = true}};
  SamplingRow row{.temperature = 0, .frequency_penalty = 1.5f};
  row.adjustments = adjustments;
  row.num_adjustments = 2;
  EXPECT_EQ(SampleOne({9, 1, 3, 0.5f}, row).token, 1);  // 3 - 2 * 1.5 = 0
}

TEST(ReferenceSampleTest, RowsThatAreNotFiniteGiveNoToken) {
  for (const std::vector<float>& logits :
       {std::vector<float>{1, kNan, 0}, {1, kInfinity, 0}, {-kInfinity, -kInfinity, -kInfinity}}) {
    for (float temperature : {0.0f, 1.0f}) {
      const SampledToken out = SampleOne(logits, {.temperature = temperature, .num_logprobs = 1});
      EXPECT_FALSE(out.finite);
      EXPECT_EQ(out.token, -1);
    }
  }
  const SampledToken one_left = SampleOne({-kInfinity, 0, -kInfinity}, {});
  EXPECT_TRUE(one_left.finite);
  EXPECT_EQ(one_left.token, 1);
}

TEST(ReferenceSampleTest, LogprobsAreOfTheRawSoftmax) {
  const std::vector<float> logits = {1, 3, 2, 3};
  const LogitAdjustment adjustments[] = {{.token = 1, .bias = -kInfinity}};
  SamplingRow row{.temperature = 0, .num_logprobs = 3};
  row.adjustments = adjustments;
  row.num_adjustments = 1;
  const SampledToken out = SampleOne(logits, row);
  const double log_sum = std::log(std::exp(1.0) + 2 * std::exp(3.0) + std::exp(2.0));
  EXPECT_EQ(out.token, 3);
  EXPECT_NEAR(out.logprob, 3 - log_sum, 1e-6);
  ASSERT_EQ(out.num_top, 3);
  EXPECT_EQ(out.top_tokens[0], 1);
  EXPECT_EQ(out.top_tokens[1], 3);
  EXPECT_EQ(out.top_tokens[2], 2);
  EXPECT_NEAR(out.top_logprobs[2], 2 - log_sum, 1e-6);
}

TEST(ReferenceSampleTest, AForcedTokenIsTakenWithItsLogprob) {
  const SampledToken out = SampleOne({1, 3, 2}, {.num_logprobs = 0, .forced = 0});
  EXPECT_EQ(out.token, 0);
  EXPECT_EQ(out.num_top, 0);
  EXPECT_LT(out.logprob, -2.0f);
}

TEST(ReferenceSampleTest, TopLogprobsNeverExceedTheVocabulary) {
  EXPECT_EQ(SampleOne({1, 2}, {.num_logprobs = 20}).num_top, 2);
}

}  // namespace
}  // namespace banyan::kernels::testing
