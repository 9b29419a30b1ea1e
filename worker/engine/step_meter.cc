#include "worker/engine/step_meter.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace banyan::worker {
namespace {

constexpr double kRidge = 1e-9;  // relative to the diagonal: makes every subset solvable

using Matrix4 = std::array<std::array<double, 4>, 4>;
using Vector4 = std::array<double, 4>;

// Solves a x = b over the terms in `active` by Gaussian elimination; the others are 0.
Vector4 SolveActive(Matrix4 a, Vector4 b, unsigned active) {
  for (size_t i = 0; i < 4; ++i) {
    if ((active >> i & 1u) != 0) continue;
    for (size_t j = 0; j < 4; ++j) a[i][j] = a[j][i] = 0;
    a[i][i] = 1;
    b[i] = 0;
  }
  for (size_t i = 0; i < 4; ++i) {
    for (size_t row = i + 1; row < 4; ++row) {
      const double factor = a[row][i] / a[i][i];
      for (size_t j = i; j < 4; ++j) a[row][j] -= factor * a[i][j];
      b[row] -= factor * b[i];
    }
  }
  Vector4 x{};
  for (size_t i = 4; i-- > 0;) {
    double sum = b[i];
    for (size_t j = i + 1; j < 4; ++j) sum -= a[i][j] * x[j];
    x[i] = sum / a[i][i];
  }
  return x;
}

}  // namespace

void StepCostEstimator::Add(const StepShape& shape, double duration_us) {
  const Vector4 x = {1, static_cast<double>(shape.prefill_tokens),
                     static_cast<double>(shape.decode_tokens),
                     static_cast<double>(shape.decode_kv_tokens)};
  for (size_t i = 0; i < 4; ++i) {
    for (size_t j = 0; j < 4; ++j) xx_[i][j] = kForgetting * xx_[i][j] + x[i] * x[j];
    xy_[i] = kForgetting * xy_[i] + x[i] * duration_us;
  }
}

StepCost StepCostEstimator::Estimate() const {
  if (xx_[0][0] == 0) return {};
  // Columns scaled to a unit diagonal: token counts span five orders of magnitude.
  Matrix4 a{};
  Vector4 b{};
  Vector4 scale{};
  for (size_t i = 0; i < 4; ++i) scale[i] = xx_[i][i] > 0 ? 1 / std::sqrt(xx_[i][i]) : 0;
  for (size_t i = 0; i < 4; ++i) {
    for (size_t j = 0; j < 4; ++j) a[i][j] = xx_[i][j] * scale[i] * scale[j];
    a[i][i] += kRidge;
    b[i] = xy_[i] * scale[i];
  }
  Vector4 best{};
  double best_gain = 0;  // residual saved against all zero: b.x at a stationary point
  for (unsigned active = 1; active < 16; ++active) {
    const Vector4 x = SolveActive(a, b, active);
    if (std::ranges::any_of(x, [](double value) { return value < 0; })) continue;
    double gain = 0;
    for (size_t i = 0; i < 4; ++i) gain += b[i] * x[i];
    if (gain <= best_gain) continue;
    best_gain = gain;
    best = x;
  }
  return {best[0] * scale[0], best[1] * scale[1], best[2] * scale[2], best[3] * scale[3]};
}

void RateMeter::Add(double count, TimePoint now) {
  rate_ = PerSecond(now) + count / kWindowS;
  last_ = now;
}

double RateMeter::PerSecond(TimePoint now) const {
  return rate_ * std::exp(-ToSeconds(now - last_) / kWindowS);
}

void SpeedMeter::Add(double amount, double seconds) {
  const double keep = std::exp(-seconds / kWindowS);
  amount_ = amount_ * keep + amount;
  seconds_ = seconds_ * keep + seconds;
}

void StepMeter::AddStep(const StepShape& shape, Duration duration) {
  const double seconds = ToSeconds(duration);
  cost_.Add(shape, seconds * 1e6);
  if (shape.prefill_tokens > 0) prefill_.Add(shape.prefill_tokens, seconds);
  if (shape.decode_tokens > 0) decode_.Add(shape.decode_tokens, seconds);
  if (shape.decode_tokens > 0 && shape.prefill_tokens == 0) decode_steps_.Add(1, seconds);
}

void StepMeter::AddEnded(uint64_t blocks_freed, uint64_t requests_ended, TimePoint now) {
  blocks_freed_.Add(static_cast<double>(blocks_freed), now);
  requests_ended_.Add(static_cast<double>(requests_ended), now);
}

void StepMeter::Fill(EngineStats& stats, TimePoint now) const {
  stats.step_cost = cost_.Estimate();
  stats.prefill_tokens_per_s = prefill_.PerSecond();
  stats.decode_tokens_per_s = decode_.PerSecond();
  const double steps_per_s = decode_steps_.PerSecond();
  stats.decode_step_us = steps_per_s > 0 ? 1e6 / steps_per_s : 0;
  stats.blocks_freed_per_s = blocks_freed_.PerSecond(now);
  stats.requests_finished_per_s = requests_ended_.PerSecond(now);
}

}  // namespace banyan::worker
