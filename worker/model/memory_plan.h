// What serving a model will take, known from the configuration alone: for the start-up report and
// for refusing a model before it is loaded.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "common/checkpoint/model_config.h"
#include "kernels/backend.h"
#include "worker/model/model_options.h"

namespace banyan::worker {

struct MemoryPlan {
  size_t weight_bytes = 0;      // packed matrices and norms; biases are not counted (under 0.1%)
  size_t rope_bytes = 0;        // cos and sin tables
  size_t activation_bytes = 0;  // of one step, logits included
  size_t kv_bytes_per_block = 0;

  // Everything but the KV pool.
  size_t FixedBytes() const { return weight_bytes + rope_bytes + activation_bytes; }
  // Whole blocks that fit beside the fixed part in `bytes_max`; 0 when not even one does.
  int64_t BlocksThatFit(size_t bytes_max) const;
};

// `options` are resolved.
MemoryPlan PlanMemory(const ModelConfig& config, const ModelOptions& options,
                      const kernels::Backend& backend);

// RESOURCE_EXHAUSTED, naming each part in bytes, when `num_blocks` blocks and the fixed part do not
// fit in `bytes_max`.
absl::Status CheckMemory(const MemoryPlan& plan, int64_t num_blocks, size_t bytes_max);

}  // namespace banyan::worker
