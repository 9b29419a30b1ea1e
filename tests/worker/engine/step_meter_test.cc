#include "worker/engine/step_meter.h"

#include <gtest/gtest.h>

#include <random>

namespace banyan::worker {
namespace {

double CostOf(const StepShape& shape) {
  return 800 + 12 * shape.prefill_tokens + 40 * shape.decode_tokens +
         0.02 * static_cast<double>(shape.decode_kv_tokens);
}

StepShape RandomShape(std::mt19937& random) {
  StepShape shape;
  shape.prefill_tokens = static_cast<int32_t>(random() % 400);
  shape.decode_tokens = static_cast<int32_t>(random() % 60);
  shape.decode_kv_tokens = shape.decode_tokens * static_cast<int64_t>(200 + random() % 2000);
  return shape;
}

TEST(StepCostEstimatorTest, RecoversALinearCost) {
  std::mt19937 random(1);
  StepCostEstimator estimator;
  for (int i = 0; i < 500; ++i) {
    const StepShape shape = RandomShape(random);
    estimator.Add(shape, CostOf(shape));
  }
  const StepCost cost = estimator.Estimate();
  EXPECT_NEAR(cost.base_us, 800, 1);
  EXPECT_NEAR(cost.per_prefill_token_us, 12, 0.01);
  EXPECT_NEAR(cost.per_sequence_us, 40, 0.1);
  EXPECT_NEAR(cost.per_kv_token_us, 0.02, 0.001);
}

TEST(StepCostEstimatorTest, SurvivesMonotonousStepsAndStaysNonNegative) {
  StepCostEstimator estimator;
  const StepShape same{0, 8, 4000};
  for (int i = 0; i < 50'000; ++i) estimator.Add(same, 1000);
  const StepCost cost = estimator.Estimate();
  EXPECT_NEAR(cost.base_us + 8 * cost.per_sequence_us + 4000 * cost.per_kv_token_us, 1000, 5);
  std::mt19937 random(2);
  StepCostEstimator falling;  // noise that plain least squares would answer with a negative base
  for (int i = 0; i < 200; ++i) {
    const StepShape shape = RandomShape(random);
    falling.Add(shape, std::max(0.0, 12.0 * shape.prefill_tokens - 500));
  }
  const StepCost clamped = falling.Estimate();
  for (const double term : {clamped.base_us, clamped.per_prefill_token_us, clamped.per_sequence_us,
                            clamped.per_kv_token_us}) {
    EXPECT_GE(term, 0);
  }
}

TEST(StepCostEstimatorTest, ForgetsHowItUsedToBe) {
  std::mt19937 random(3);
  StepCostEstimator estimator;
  for (int i = 0; i < 3000; ++i) {
    const StepShape shape = RandomShape(random);
    estimator.Add(shape, CostOf(shape) * (i < 1000 ? 5 : 1));
  }
  EXPECT_NEAR(estimator.Estimate().per_prefill_token_us, 12, 12 * 0.15);
}

TEST(RateMeterTest, FollowsARateAndDecaysWithoutEvents) {
  FakeClock clock;
  RateMeter meter;
  for (int i = 0; i < 1000; ++i) {
    clock.Advance(std::chrono::milliseconds(10));
    meter.Add(3, clock.Now());
  }
  EXPECT_NEAR(meter.PerSecond(clock.Now()), 300, 6);
  clock.Advance(std::chrono::seconds(5));
  EXPECT_LT(meter.PerSecond(clock.Now()), 3);
}

}  // namespace
}  // namespace banyan::worker
