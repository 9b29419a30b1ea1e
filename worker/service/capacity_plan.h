// How many KV blocks a worker has: what was asked for, or what memory allows. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "worker/model/memory_plan.h"

namespace banyan::worker {

// Bounds of the default: half of what the model leaves, so that a second worker and the page cache
// have room, and never more than 4 GiB unasked.
inline constexpr double kKvShareOfRoom = 0.5;
inline constexpr int64_t kKvBytesDefaultMax = int64_t{4} << 30;

struct CapacityRequest {
  std::optional<int64_t> kv_tokens;  // at most one of the two
  std::optional<int64_t> kv_bytes;
  int32_t block_size = 16;
  int32_t context_length = 0;
  int32_t max_running_sequences = 0;
  int64_t available_bytes = 0;  // memory that the process may take; 0: unknown, nothing is checked
};

// Blocks of the pool, at least 1. RESOURCE_EXHAUSTED, with every part in bytes, when model and pool
// do not fit in the available memory; INVALID_ARGUMENT when what was asked for is less than a block
// or more than 2^31 - 1 of them.
absl::StatusOr<int32_t> PlanBlocks(const MemoryPlan& plan, const CapacityRequest& request);

}  // namespace banyan::worker
