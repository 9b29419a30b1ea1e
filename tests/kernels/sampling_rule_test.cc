#include "kernels/sampling_rule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace banyan::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(SamplingRuleTest, MassIsTheExponentialInFortyBitFixedPoint) {
  EXPECT_EQ(TokenMass(0.0f), uint64_t{1} << kMassBits);
  for (float x = 0.0f; x > -27.0f; x -= 0.00371f) {
    const double expected = std::exp(static_cast<double>(x)) * 0x1p40;
    EXPECT_NEAR(static_cast<double>(TokenMass(x)), expected, 1.0 + 2e-6 * expected) << x;
  }
  EXPECT_EQ(TokenMass(-28.5f), 0u);
  EXPECT_EQ(TokenMass(-kInfinity), 0u);
}

TEST(SamplingRuleTest, MassNeededRoundsUpAndStaysWithinOneAndTotal) {
  EXPECT_EQ(MassNeeded(1000, 0.5f), 500u);
  EXPECT_EQ(MassNeeded(1001, 0.5f), 501u);
  EXPECT_EQ(MassNeeded(1000, 1e-30f), 1u);
  EXPECT_EQ(MassNeeded((uint64_t{1} << 58) + 1, 1.0f), uint64_t{1} << 58);
  EXPECT_EQ(MassNeeded(3, 1.0f), 3u);
}

TEST(SamplingRuleTest, MinPThresholdIsTheLogarithm) {
  EXPECT_EQ(MinPThreshold(1.0f), 0.0f);
  for (float p : {0.9f, 0.5f, 0.05f, 1e-6f}) EXPECT_NEAR(MinPThreshold(p), std::log(p), 1e-5f);
}

TEST(SamplingRuleTest, InverseTemperatureHasAFloorOfOneHundredth) {
  EXPECT_EQ(InverseTemperature(2.0f), 0.5f);
  EXPECT_EQ(InverseTemperature(1e-6f), 1.0f / kTemperatureMin);
}

TEST(SamplingRuleTest, PenaltiesApplyInTheDocumentedOrder) {
  SamplingRow row;
  row.repetition_penalty = 2.0f;
  row.frequency_penalty = 0.5f;
  row.presence_penalty = 0.25f;
  // (3 + 1) / 2 - 0.5 * 3 - 0.25
  EXPECT_EQ(AdjustLogit(row, {.token = 0, .bias = 1, .output_count = 3, .seen = true}, 3.0f),
            0.25f);
  // A negative logit is multiplied: (-3 + 1) * 2.
  EXPECT_EQ(AdjustLogit(row, {.token = 0, .bias = 1, .output_count = 0, .seen = true}, -3.0f),
            -4.0f);
  // Not seen: no repetition penalty. Not generated: no presence penalty.
  EXPECT_EQ(AdjustLogit(row, {.token = 0, .bias = 1, .output_count = 0, .seen = false}, 3.0f),
            4.0f);
  EXPECT_EQ(AdjustLogit(row, {.token = 0, .bias = -kInfinity}, 3.0f), -kInfinity);
}

}  // namespace
}  // namespace banyan::kernels
