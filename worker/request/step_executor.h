// Runs step plans: the seam between the engine and whatever computes (one device, several ranks, a
// test's toy).
#pragma once

#include "absl/status/status.h"
#include "worker/request/step_plan.h"

namespace banyan::worker {

// Used by the engine thread only.
class StepExecutor {
 public:
  virtual ~StepExecutor() = default;

  // Computes the plan: KV of all new tokens is written, one token is drawn per SamplePlan. `result`
  // is overwritten (its capacity is kept). An error is a fault of the device or of a rank: the
  // worker cannot go on.
  virtual absl::Status Execute(const StepPlan& plan, StepResult& result) = 0;
};

}  // namespace banyan::worker
