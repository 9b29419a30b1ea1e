#include "worker/service/capacity_plan.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"

namespace banyan::worker {
namespace {

// What the largest batch of the longest sequences can use.
int64_t UsefulBlocks(const CapacityRequest& request) {
  const int64_t per_sequence =
      (request.context_length + request.block_size - 1) / request.block_size;
  return per_sequence * request.max_running_sequences;
}

int64_t DefaultBlocks(const MemoryPlan& plan, const CapacityRequest& request) {
  const auto block_bytes = static_cast<int64_t>(plan.kv_bytes_per_block);
  const auto fixed = static_cast<int64_t>(plan.FixedBytes());
  int64_t bytes = kKvBytesDefaultMax;
  if (request.available_bytes > 0) {
    const auto room = static_cast<double>(std::max<int64_t>(request.available_bytes - fixed, 0));
    bytes = std::min(bytes, static_cast<int64_t>(room * kKvShareOfRoom));
  }
  return std::clamp<int64_t>(bytes / block_bytes, 1, UsefulBlocks(request));
}

absl::StatusOr<int64_t> AskedBlocks(const MemoryPlan& plan, const CapacityRequest& request) {
  if (request.kv_tokens.has_value()) {
    return (*request.kv_tokens + request.block_size - 1) / request.block_size;
  }
  const int64_t blocks = *request.kv_bytes / static_cast<int64_t>(plan.kv_bytes_per_block);
  if (blocks > 0) return blocks;
  return absl::InvalidArgumentError(
      absl::StrFormat("--kv-cache-bytes: one block of %d tokens takes %d bytes, got %d",
                      request.block_size, plan.kv_bytes_per_block, *request.kv_bytes));
}

}  // namespace

absl::StatusOr<int32_t> PlanBlocks(const MemoryPlan& plan, const CapacityRequest& request) {
  int64_t blocks = 0;
  if (request.kv_tokens.has_value() || request.kv_bytes.has_value()) {
    BANYAN_ASSIGN_OR_RETURN(blocks, AskedBlocks(plan, request));
  } else {
    blocks = DefaultBlocks(plan, request);
  }
  constexpr int64_t kBlocksMax = std::numeric_limits<int32_t>::max();
  if (blocks > kBlocksMax) {
    return absl::InvalidArgumentError(
        absl::StrFormat("KV cache of %d blocks, limit %d", blocks, kBlocksMax));
  }
  if (request.available_bytes > 0) {
    BANYAN_RETURN_IF_ERROR(CheckMemory(plan, blocks, static_cast<size_t>(request.available_bytes)));
  }
  return static_cast<int32_t>(blocks);
}

}  // namespace banyan::worker
