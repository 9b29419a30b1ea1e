#include "worker/model/transformer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "worker/model/rope_table.h"

namespace banyan::worker {
namespace {

using kernels::Matrix;

kernels::BackendLimits MakeLimits(const ModelConfig& config, const ModelOptions& options) {
  return {.max_step_tokens = options.max_step_tokens,
          .max_sequences = options.max_sequences,
          .max_context_tokens = options.context_length,
          .max_heads = static_cast<int>(config.num_heads),
          .max_head_size = static_cast<int>(config.head_size),
          .max_linear_cols = std::max(
              {config.hidden_size, config.intermediate_size, config.num_heads * config.head_size}),
          .max_vocabulary = config.vocabulary_size};
}

absl::StatusOr<DeviceVector> UploadVector(kernels::Backend& backend,
                                          const std::vector<float>& values) {
  const size_t size_bytes = values.size() * sizeof(float);
  BANYAN_ASSIGN_OR_RETURN(std::unique_ptr<kernels::Buffer> buffer, backend.Allocate(size_bytes));
  backend.Upload(buffer->data(), values.data(), size_bytes);
  backend.Synchronize();
  return DeviceVector(std::move(buffer));
}

}  // namespace

kernels::KvCacheShape MakeCacheShape(const ModelConfig& config, const ModelOptions& options,
                                     int32_t num_blocks) {
  return {.num_layers = static_cast<int>(config.num_layers),
          .num_blocks = num_blocks,
          .block_size = options.block_size,
          .num_kv_heads = static_cast<int>(config.num_kv_heads),
          .head_size = static_cast<int>(config.head_size)};
}

Transformer::Transformer(const ModelConfig& config, const ModelOptions& options,
                         ModelWeights weights, kernels::Backend& backend)
    : config_(config), options_(options), weights_(std::move(weights)), backend_(backend) {}

absl::StatusOr<std::unique_ptr<Transformer>> Transformer::Create(const ModelConfig& config,
                                                                 const ModelOptions& options,
                                                                 ModelWeights weights,
                                                                 kernels::Backend& backend) {
  BANYAN_RETURN_IF_ERROR(backend.Reserve(MakeLimits(config, options)));
  auto model =
      std::unique_ptr<Transformer>(new Transformer(config, options, std::move(weights), backend));
  const RopeTable table = MakeRopeTable(config, options.context_length);
  BANYAN_ASSIGN_OR_RETURN(model->rope_cos_, UploadVector(backend, table.cos));
  BANYAN_ASSIGN_OR_RETURN(model->rope_sin_, UploadVector(backend, table.sin));
  BANYAN_ASSIGN_OR_RETURN(model->activations_, AllocateActivations(config, options, backend));
  return model;
}

kernels::KvCacheShape Transformer::CacheShape(int32_t num_blocks) const {
  return MakeCacheShape(config_, options_, num_blocks);
}

void Transformer::Forward(const kernels::RaggedBatch& batch, const TokenId* token_ids,
                          kernels::KvCache& cache) {
  BANYAN_CHECK_LE(batch.num_tokens, options_.max_step_tokens);
  BANYAN_CHECK_LE(batch.num_sequences, options_.max_sequences);
  num_tokens_ = batch.num_tokens;
  const Matrix residual = FirstRows(activations_.residual, num_tokens_);
  const Matrix delta = FirstRows(activations_.delta, num_tokens_);

  backend_.Embed({.table = weights_.embedding.get(), .token_ids = token_ids, .out = residual});
  for (int layer = 0; layer < config_.num_layers; ++layer) {
    RunLayer(layer, batch, layer == 0 ? nullptr : &delta, cache);
  }
  backend_.RmsNorm({.residual = residual,
                    .delta = config_.num_layers == 0 ? nullptr : &delta,
                    .weight = weights_.final_norm.data(),
                    .epsilon = static_cast<float>(config_.norm_epsilon),
                    .out = FirstRows(activations_.normed, num_tokens_)});
}

void Transformer::RunLayer(int layer, const kernels::RaggedBatch& batch, const Matrix* delta_before,
                           kernels::KvCache& cache) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  const auto epsilon = static_cast<float>(config_.norm_epsilon);
  const int num_heads = static_cast<int>(config_.num_heads);
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(config_.head_size)));
  const auto window = config_.sliding_window.empty()
                          ? 0
                          : static_cast<int>(config_.sliding_window[static_cast<size_t>(layer)]);
  const Matrix residual = FirstRows(activations_.residual, num_tokens_);
  const Matrix normed = FirstRows(activations_.normed, num_tokens_);
  const Matrix qkv = FirstRows(activations_.qkv, num_tokens_);
  const Matrix q = FirstRows(activations_.q, num_tokens_);
  const Matrix attended = FirstRows(activations_.attended, num_tokens_);
  const Matrix delta = FirstRows(activations_.delta, num_tokens_);
  const Matrix gate_up = FirstRows(activations_.gate_up, num_tokens_);
  const Matrix gated = FirstRows(activations_.gated, num_tokens_);

  backend_.RmsNorm({residual, delta_before, w.input_norm.data(), epsilon, normed});
  backend_.Linear({normed, w.qkv.get(), w.qkv_bias.data(), qkv});
  backend_.RopeKvWrite({.batch = &batch,
                        .qkv = qkv,
                        .num_heads = num_heads,
                        .q_norm = w.q_norm.data(),
                        .k_norm = w.k_norm.data(),
                        .norm_epsilon = epsilon,
                        .cos = rope_cos_.data(),
                        .sin = rope_sin_.data(),
                        .cache = &cache,
                        .layer = layer,
                        .q_out = q});
  backend_.Attention({.batch = &batch,
                      .q = q,
                      .num_heads = num_heads,
                      .scale = scale,
                      .sliding_window = window,
                      .cache = &cache,
                      .layer = layer,
                      .out = attended});
  backend_.Linear({attended, w.attn_output.get(), w.attn_output_bias.data(), delta});

  backend_.RmsNorm({residual, &delta, w.post_attention_norm.data(), epsilon, normed});
  backend_.Linear({normed, w.gate_up.get(), w.gate_up_bias.data(), gate_up});
  backend_.SiluMul({gate_up, gated});
  backend_.Linear({gated, w.down.get(), w.down_bias.data(), delta});
}

Matrix Transformer::ComputeLogits(const int32_t* rows, int32_t num_rows) {
  BANYAN_CHECK_LE(num_rows, options_.max_logit_rows);
  const Matrix selected = FirstRows(activations_.selected, num_rows);
  const Matrix logits = FirstRows(activations_.logits, num_rows);
  backend_.GatherRows({FirstRows(activations_.normed, num_tokens_), rows, selected});
  backend_.Linear({selected, &weights_.output(), nullptr, logits});
  return logits;
}

}  // namespace banyan::worker
