// A decoder-only transformer (Llama, Mistral, Qwen2, Qwen3) on any backend: weights, RoPE tables
// and activations, and the forward pass over one ragged batch. Owns no KV cache. Engine thread
// only; dies before its backend.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/checkpoint/model_config.h"
#include "kernels/backend.h"
#include "worker/model/activations.h"
#include "worker/model/model_options.h"
#include "worker/model/model_weights.h"

namespace banyan::worker {

class Transformer {
 public:
  // Reserves the backend's scratch, makes RoPE tables and activations. `options` are resolved.
  // RESOURCE_EXHAUSTED where memory is missing.
  static absl::StatusOr<std::unique_ptr<Transformer>> Create(const ModelConfig& config,
                                                             const ModelOptions& options,
                                                             ModelWeights weights,
                                                             kernels::Backend& backend);

  // Runs all layers for the batch's new tokens and writes their keys and values to `cache`.
  // token_ids [T] and the batch's arrays are in the backend's memory. T <= max_step_tokens.
  void Forward(const kernels::RaggedBatch& batch, const TokenId* token_ids,
               kernels::KvCache& cache);

  // Logits [num_rows, V] of tokens `rows` of the last Forward (indices in the backend's memory;
  // num_rows <= max_logit_rows). Valid until the next call.
  kernels::Matrix ComputeLogits(const int32_t* rows, int32_t num_rows);

  const ModelConfig& config() const { return config_; }
  const ModelOptions& options() const { return options_; }
  kernels::Backend& backend() const { return backend_; }
  const ModelWeights& weights() const { return weights_; }

  kernels::KvCacheShape CacheShape(int32_t num_blocks) const;

 private:
  Transformer(const ModelConfig& config, const ModelOptions& options, ModelWeights weights,
              kernels::Backend& backend);
  // One layer: attention and feed-forward, each behind its norm. `delta` is what the layer before
  // left for the residual; null before the first.
  void RunLayer(int layer, const kernels::RaggedBatch& batch, const kernels::Matrix* delta,
                kernels::KvCache& cache);

  const ModelConfig config_;
  const ModelOptions options_;
  const ModelWeights weights_;
  kernels::Backend& backend_;
  DeviceVector rope_cos_;    // [context, D / 2]
  DeviceVector rope_sin_;    // [context, D / 2]
  Activations activations_;  // sized for max_step_tokens
  int32_t num_tokens_ = 0;   // of the last Forward
};

// KV cache shape of a model for `num_blocks` blocks.
kernels::KvCacheShape MakeCacheShape(const ModelConfig& config, const ModelOptions& options,
                                     int32_t num_blocks);

}  // namespace banyan::worker
