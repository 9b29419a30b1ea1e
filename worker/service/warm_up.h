// Runs a few tokens through the executor before the worker serves: touches every weight once, and
// finds a model that computes nonsense.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "worker/request/step_executor.h"

namespace banyan::worker {

inline constexpr int32_t kWarmUpPromptTokens = 8;
inline constexpr int32_t kWarmUpDecodeTokens = 2;

struct WarmUpLimits {
  int32_t block_size = 16;
  int32_t num_blocks = 0;
  int32_t max_step_tokens = 0;
  int32_t context_length = 0;
};

// One prefill and two decode steps in the pool's first blocks, which must be free. INTERNAL when
// the logits are not finite; the executor's own errors as they are.
absl::Status WarmUp(StepExecutor& executor, const WarmUpLimits& limits);

}  // namespace banyan::worker
