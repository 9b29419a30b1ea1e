#include "worker/model/rope_table.h"

#include <gtest/gtest.h>

#include <cmath>

#include "worker/model/model_options.h"

namespace banyan::worker {
namespace {

ModelConfig MakeConfig(RopeScaling scaling = {}) {
  ModelConfig config;
  config.head_size = 16;
  config.context_length = 128;
  config.rope_theta = 10000;
  config.rope_scaling = scaling;
  return config;
}

RopeScaling Scaling(RopeScalingType type, double factor, int64_t original_context_length = 0) {
  RopeScaling scaling;
  scaling.type = type;
  scaling.factor = factor;
  scaling.original_context_length = original_context_length;
  return scaling;
}

double Plain(size_t i) { return std::pow(10000.0, -2.0 * static_cast<double>(i) / 16); }

TEST(RopeTableTest, UnscaledFrequenciesArePowersOfTheta) {
  const RopeFrequencies result = ComputeRopeFrequencies(MakeConfig(), 128);
  ASSERT_EQ(result.inverse.size(), 8u);
  for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(result.inverse[i], Plain(i), 1e-15);
  EXPECT_EQ(result.magnitude, 1.0);
}

TEST(RopeTableTest, LinearScalingDividesEveryFrequency) {
  const auto config = MakeConfig(Scaling(RopeScalingType::kLinear, 4));
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(ComputeRopeFrequencies(config, 128).inverse[i], Plain(i) / 4, 1e-15);
  }
}

TEST(RopeTableTest, Llama3KeepsShortWavesAndDividesLongOnes) {
  const auto config = MakeConfig(Scaling(RopeScalingType::kLlama3, 8, 64));
  const RopeFrequencies result = ComputeRopeFrequencies(config, 128);
  EXPECT_NEAR(result.inverse[0], Plain(0), 1e-15);      // 10 turns in 64 tokens
  EXPECT_NEAR(result.inverse[7], Plain(7) / 8, 1e-15);  // far less than one
  EXPECT_GT(result.inverse[1], Plain(1) / 8);           // 3.2 turns: on the ramp
  EXPECT_LT(result.inverse[1], Plain(1));
}

TEST(RopeTableTest, ListedDivisorsGiveWhatLlama3ScalingGives) {
  const auto scaled =
      ComputeRopeFrequencies(MakeConfig(Scaling(RopeScalingType::kLlama3, 8, 64)), 128);
  ModelConfig config = MakeConfig();
  for (size_t i = 0; i < 8; ++i) {
    config.rope_frequency_divisors.push_back(static_cast<float>(Plain(i) / scaled.inverse[i]));
  }
  ASSERT_GT(config.rope_frequency_divisors[7], 7.9f);
  const auto divided = ComputeRopeFrequencies(config, 128);
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(divided.inverse[i], scaled.inverse[i], 1e-7 * scaled.inverse[i]);
  }
  config.rope_scaling = Scaling(RopeScalingType::kLinear, 2);
  EXPECT_NEAR(ComputeRopeFrequencies(config, 128).inverse[7], scaled.inverse[7] / 2, 1e-9);
}

TEST(RopeTableTest, YarnMultipliesCosAndSinByTheAttentionFactor) {
  RopeScaling scaling = Scaling(RopeScalingType::kYarn, 4, 32);
  const RopeTable table = MakeRopeTable(MakeConfig(scaling), 2);
  EXPECT_NEAR(table.cos[0], 0.1 * std::log(4.0) + 1, 1e-6);
  scaling.attention_factor = 1.5;
  EXPECT_EQ(MakeRopeTable(MakeConfig(scaling), 2).cos[0], 1.5f);
  EXPECT_NEAR(ComputeRopeFrequencies(MakeConfig(scaling), 2).inverse[7], Plain(7) / 4, 1e-15);
}

TEST(RopeTableTest, DynamicScalingActsOnlyWhenServedPastTheOriginalLength) {
  const auto config = MakeConfig(Scaling(RopeScalingType::kDynamic, 2, 32));
  EXPECT_EQ(ComputeRopeFrequencies(config, 32).inverse, ComputeRopeFrequencies(config, 8).inverse);
  EXPECT_NEAR(ComputeRopeFrequencies(config, 32).inverse[3], Plain(3), 1e-15);
  // theta' = theta (2 * 64 / 32 - 1)^(16 / 14)
  const double theta = 10000 * std::pow(3.0, 16.0 / 14.0);
  EXPECT_NEAR(ComputeRopeFrequencies(config, 64).inverse[3], std::pow(theta, -6.0 / 16), 1e-15);
}

TEST(RopeTableTest, TablesHoldCosAndSinOfPositionTimesFrequency) {
  const RopeTable table = MakeRopeTable(MakeConfig(), 50);
  ASSERT_EQ(table.cos.size(), 50u * 8u);
  EXPECT_NEAR(table.cos[49 * 8 + 2], std::cos(49 * Plain(2)), 1e-6);
  EXPECT_NEAR(table.sin[49 * 8 + 2], std::sin(49 * Plain(2)), 1e-6);
}

TEST(ModelOptionsTest, ContextLengthDefaultsToTheCheckpointsAndMayStretchWithRopeScaling) {
  EXPECT_EQ(ResolveOptions(MakeConfig(), {})->context_length, 128);
  EXPECT_EQ(MaxContextLength(MakeConfig()), 128);
  const auto config = MakeConfig(Scaling(RopeScalingType::kYarn, 4, 64));
  EXPECT_EQ(MaxContextLength(config), 256);
  EXPECT_EQ(ResolveOptions(config, {.context_length = 256})->context_length, 256);
}

TEST(ModelOptionsTest, RefusalsNameOptionValueAndLimit) {
  const absl::Status status = ResolveOptions(MakeConfig(), {.context_length = 129}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()), "context_length is 129, must be in [1, 128]");
  EXPECT_FALSE(ResolveOptions(MakeConfig(), {.max_step_tokens = 0}).ok());
  EXPECT_FALSE(ResolveOptions(MakeConfig(), {.max_sequences = 0}).ok());
  EXPECT_FALSE(ResolveOptions(MakeConfig(), {.block_size = 257}).ok());
  EXPECT_FALSE(ResolveOptions(MakeConfig(), {.max_logit_rows = -1}).ok());
}

}  // namespace
}  // namespace banyan::worker
