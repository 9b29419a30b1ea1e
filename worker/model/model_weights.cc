#include "worker/model/model_weights.h"

#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "worker/model/weight_loader.h"

namespace banyan::worker {
namespace {

using Parts = std::vector<TensorPart>;

absl::StatusOr<LayerWeights> LoadLayer(WeightLoader& loader, const ModelConfig& config,
                                       int64_t layer) {
  const std::string prefix = absl::StrFormat("model.layers.%d.", layer);
  const std::string attn = prefix + "self_attn.";
  const std::string mlp = prefix + "mlp.";
  const int64_t q_rows = config.num_heads * config.head_size;
  const int64_t kv_rows = config.num_kv_heads * config.head_size;
  const Parts qkv = {
      {attn + "q_proj", q_rows}, {attn + "k_proj", kv_rows}, {attn + "v_proj", kv_rows}};
  const Parts output = {{attn + "o_proj", config.hidden_size}};
  const Parts gate_up = {{mlp + "gate_proj", config.intermediate_size},
                         {mlp + "up_proj", config.intermediate_size}};
  const Parts down = {{mlp + "down_proj", config.hidden_size}};

  LayerWeights w;
  BANYAN_ASSIGN_OR_RETURN(w.input_norm,
                          loader.Norm(prefix + "input_layernorm", config.hidden_size));
  BANYAN_ASSIGN_OR_RETURN(w.qkv, loader.Matrix(qkv, config.hidden_size));
  BANYAN_ASSIGN_OR_RETURN(w.qkv_bias, loader.Bias(qkv));
  BANYAN_ASSIGN_OR_RETURN(w.q_norm, loader.OptionalNorm(attn + "q_norm", config.head_size));
  BANYAN_ASSIGN_OR_RETURN(w.k_norm, loader.OptionalNorm(attn + "k_norm", config.head_size));
  BANYAN_ASSIGN_OR_RETURN(w.attn_output, loader.Matrix(output, q_rows));
  BANYAN_ASSIGN_OR_RETURN(w.attn_output_bias, loader.Bias(output));
  BANYAN_ASSIGN_OR_RETURN(w.post_attention_norm,
                          loader.Norm(prefix + "post_attention_layernorm", config.hidden_size));
  BANYAN_ASSIGN_OR_RETURN(w.gate_up, loader.Matrix(gate_up, config.hidden_size));
  BANYAN_ASSIGN_OR_RETURN(w.gate_up_bias, loader.Bias(gate_up));
  BANYAN_ASSIGN_OR_RETURN(w.down, loader.Matrix(down, config.intermediate_size));
  BANYAN_ASSIGN_OR_RETURN(w.down_bias, loader.Bias(down));
  return w;
}

size_t LayerBytes(const LayerWeights& w) {
  return w.input_norm.size_bytes() + w.qkv->size_bytes() + w.qkv_bias.size_bytes() +
         w.q_norm.size_bytes() + w.k_norm.size_bytes() + w.attn_output->size_bytes() +
         w.attn_output_bias.size_bytes() + w.post_attention_norm.size_bytes() +
         w.gate_up->size_bytes() + w.gate_up_bias.size_bytes() + w.down->size_bytes() +
         w.down_bias.size_bytes();
}

}  // namespace

size_t ModelWeights::SizeBytes() const {
  size_t bytes = embedding->size_bytes() + final_norm.size_bytes();
  if (lm_head != nullptr) bytes += lm_head->size_bytes();
  for (const LayerWeights& layer : layers) bytes += LayerBytes(layer);
  return bytes;
}

absl::StatusOr<ModelWeights> LoadWeights(const Checkpoint& checkpoint, kernels::Backend& backend,
                                         const LoadProgress& progress) {
  const ModelConfig& config = checkpoint.config();
  WeightLoader loader(checkpoint, backend, progress);
  ModelWeights weights;
  BANYAN_ASSIGN_OR_RETURN(
      weights.embedding,
      loader.Matrix(Parts{{"model.embed_tokens", config.vocabulary_size}}, config.hidden_size));
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    BANYAN_ASSIGN_OR_RETURN(LayerWeights loaded, LoadLayer(loader, config, layer));
    weights.layers.push_back(std::move(loaded));
  }
  BANYAN_ASSIGN_OR_RETURN(weights.final_norm, loader.Norm("model.norm", config.hidden_size));
  if (!config.tied_embeddings) {
    BANYAN_ASSIGN_OR_RETURN(
        weights.lm_head,
        loader.Matrix(Parts{{"lm_head", config.vocabulary_size}}, config.hidden_size));
  }
  loader.Done();
  return weights;
}

}  // namespace banyan::worker
