// A Llama checkpoint of any shape with small pseudo-random weights, for speed without a file. All
// tensors are views of one buffer, as large as the largest of them. Immutable.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/checkpoint/checkpoint.h"

namespace banyan::bench {

class SyntheticCheckpoint final : public Checkpoint {
 public:
  // `config` says everything; the head is tied to the embedding.
  explicit SyntheticCheckpoint(const ModelConfig& config) : config_(config) {
    const int64_t hidden = config.hidden_size;
    const int64_t kv = config.num_kv_heads * config.head_size;
    const int64_t q = config.num_heads * config.head_size;
    Add("model.embed_tokens", {config.vocabulary_size, hidden});
    Add("model.norm", {hidden});
    for (int64_t layer = 0; layer < config.num_layers; ++layer) {
      const std::string prefix = "model.layers." + std::to_string(layer) + ".";
      Add(prefix + "input_layernorm", {hidden});
      Add(prefix + "post_attention_layernorm", {hidden});
      Add(prefix + "self_attn.q_proj", {q, hidden});
      Add(prefix + "self_attn.k_proj", {kv, hidden});
      Add(prefix + "self_attn.v_proj", {kv, hidden});
      Add(prefix + "self_attn.o_proj", {hidden, q});
      Add(prefix + "mlp.gate_proj", {config.intermediate_size, hidden});
      Add(prefix + "mlp.up_proj", {config.intermediate_size, hidden});
      Add(prefix + "mlp.down_proj", {hidden, config.intermediate_size});
    }
    FillTensors();
  }

  const ModelConfig& config() const override { return config_; }
  const GenerationDefaults& generation_defaults() const override { return defaults_; }
  const TextAssets& text_assets() const override { return text_assets_; }
  std::span<const TensorView> tensors() const override { return tensors_; }
  const TensorView* FindTensor(std::string_view name) const override {
    const auto it = std::ranges::lower_bound(tensors_, name, {}, &TensorView::name);
    return it != tensors_.end() && it->name == name ? &*it : nullptr;
  }
  std::string weight_format() const override { return "bf16"; }
  size_t size_bytes() const override {
    size_t total = 0;
    for (const TensorView& tensor : tensors_) total += tensor.data.size();
    return total;
  }
  void Release(const TensorView&) const override {}

 private:
  void Add(const std::string& name, std::vector<int64_t> shape) {
    tensors_.push_back(
        {.name = name + ".weight", .encoding = TensorEncoding::kBF16, .shape = std::move(shape)});
  }

  void FillTensors() {
    int64_t largest = 0;
    for (const TensorView& tensor : tensors_) {
      largest = std::max(largest, tensor.rows() * tensor.cols());
    }
    values_.resize(static_cast<size_t>(largest));
    uint32_t state = 1;
    for (uint16_t& value : values_) {
      state = state * 1664525u + 1013904223u;
      // Sign and mantissa at random, 2^-6 to 2^-5 in size.
      value = static_cast<uint16_t>((state >> 16 & 0x807fu) | 121u << 7);
    }
    for (TensorView& tensor : tensors_) {
      const auto count = static_cast<size_t>(tensor.rows() * tensor.cols());
      tensor.data = std::as_bytes(std::span(values_).first(count));
    }
    std::ranges::sort(tensors_, {}, &TensorView::name);
  }

  const ModelConfig config_;
  const GenerationDefaults defaults_;
  const TextAssets text_assets_;
  std::vector<TensorView> tensors_;  // sorted by name
  std::vector<uint16_t> values_;
};

}  // namespace banyan::bench
