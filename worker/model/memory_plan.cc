#include "worker/model/memory_plan.h"

#include "absl/strings/str_format.h"
#include "worker/model/activations.h"
#include "worker/model/transformer.h"

namespace banyan::worker {
namespace {

size_t LayerWeightBytes(const ModelConfig& config, const kernels::Backend& backend) {
  const int64_t q_rows = config.num_heads * config.head_size;
  const int64_t kv_rows = config.num_kv_heads * config.head_size;
  size_t bytes = backend.PackedBytes(q_rows + 2 * kv_rows, config.hidden_size) +
                 backend.PackedBytes(config.hidden_size, q_rows) +
                 backend.PackedBytes(2 * config.intermediate_size, config.hidden_size) +
                 backend.PackedBytes(config.hidden_size, config.intermediate_size);
  int64_t norm_values = 2 * config.hidden_size;
  if (config.architecture == Architecture::kQwen3) norm_values += 2 * config.head_size;
  return bytes + static_cast<size_t>(norm_values) * sizeof(float);
}

}  // namespace

int64_t MemoryPlan::BlocksThatFit(size_t bytes_max) const {
  if (bytes_max <= FixedBytes()) return 0;
  return static_cast<int64_t>((bytes_max - FixedBytes()) / kv_bytes_per_block);
}

MemoryPlan PlanMemory(const ModelConfig& config, const ModelOptions& options,
                      const kernels::Backend& backend) {
  const size_t table = backend.PackedBytes(config.vocabulary_size, config.hidden_size);
  MemoryPlan plan;
  plan.weight_bytes = static_cast<size_t>(config.num_layers) * LayerWeightBytes(config, backend) +
                      static_cast<size_t>(config.hidden_size) * sizeof(float) +
                      (config.tied_embeddings ? table : 2 * table);
  plan.rope_bytes = static_cast<size_t>(options.context_length) *
                    static_cast<size_t>(config.head_size) * sizeof(float);
  plan.activation_bytes = ActivationBytes(config, options, backend.activation_dtype());
  plan.kv_bytes_per_block = backend.KvBytesPerBlock(MakeCacheShape(config, options, 1));
  return plan;
}

absl::Status CheckMemory(const MemoryPlan& plan, int64_t num_blocks, size_t bytes_max) {
  const auto blocks = static_cast<size_t>(num_blocks);
  const size_t fixed = plan.FixedBytes();
  const bool fits = fixed <= bytes_max && blocks <= (bytes_max - fixed) / plan.kv_bytes_per_block;
  if (fits) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrFormat(
      "weights %d + RoPE tables %d + activations %d + KV pool %d blocks of %d bytes exceed the "
      "%d bytes allowed: use fewer blocks, a shorter context or a smaller model",
      plan.weight_bytes, plan.rope_bytes, plan.activation_bytes, num_blocks,
      plan.kv_bytes_per_block, bytes_max));
}

}  // namespace banyan::worker
