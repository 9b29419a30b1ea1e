// What the engine learns from its own steps: the cost of a step, speeds and rates. Engine thread
// only.
#pragma once

#include <array>
#include <cstdint>

#include "common/base/clock.h"
#include "worker/engine/engine.h"
#include "worker/scheduler/scheduler.h"

namespace banyan::worker {

// Least squares of step time over (1, prefill tokens, decoding sequences, their KV tokens) with
// exponential forgetting and coefficients >= 0, kept as normal equations: the information form of
// recursive least squares, in which a regressor that does not vary for a long time cannot blow up.
class StepCostEstimator {
 public:
  static constexpr double kForgetting = 0.998;  // per step

  void Add(const StepShape& shape, double duration_us);
  // The best non-negative coefficients, exact: the least residual over all 16 active sets. All zero
  // before the first step.
  StepCost Estimate() const;

 private:
  static constexpr int kTerms = 4;
  std::array<std::array<double, kTerms>, kTerms> xx_{};  // sum of x x^T
  std::array<double, kTerms> xy_{};                      // sum of x y
};

// Events per second, exponentially weighted over `kWindow`.
class RateMeter {
 public:
  static constexpr double kWindowS = 1;
  void Add(double count, TimePoint now);
  double PerSecond(TimePoint now) const;

 private:
  double rate_ = 0;
  TimePoint last_{};
};

// Amount per second of step time, both decaying with step time over `kWindowS`.
class SpeedMeter {
 public:
  static constexpr double kWindowS = 10;
  void Add(double amount, double seconds);
  double PerSecond() const { return seconds_ > 0 ? amount_ / seconds_ : 0; }

 private:
  double amount_ = 0;
  double seconds_ = 0;
};

class StepMeter {
 public:
  void AddStep(const StepShape& shape, Duration duration);
  // What ended since the last call.
  void AddEnded(uint64_t blocks_freed, uint64_t requests_ended, TimePoint now);
  void Fill(EngineStats& stats, TimePoint now) const;

 private:
  StepCostEstimator cost_;
  SpeedMeter prefill_;       // tokens, over steps with prefill
  SpeedMeter decode_;        // tokens, over steps with decodes
  SpeedMeter decode_steps_;  // steps, over steps with decodes only
  RateMeter blocks_freed_;
  RateMeter requests_ended_;
};

}  // namespace banyan::worker
