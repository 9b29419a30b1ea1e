#include "common/checkpoint/expected_tensors.h"

#include <algorithm>
#include <unordered_map>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"

namespace banyan {
namespace {

enum class Need { kRequired, kOptional };

struct Expected {
  std::vector<int64_t> shape;
  Need need;
};

std::unordered_map<std::string, Expected> ExpectedTensors(const ModelConfig& config) {
  std::unordered_map<std::string, Expected> expected;
  const int64_t hidden = config.hidden_size;
  const int64_t q_rows = config.num_heads * config.head_size;
  const int64_t kv_rows = config.num_kv_heads * config.head_size;
  expected["model.embed_tokens.weight"] = {{config.vocabulary_size, hidden}, Need::kRequired};
  expected["model.norm.weight"] = {{hidden}, Need::kRequired};
  expected["lm_head.weight"] = {{config.vocabulary_size, hidden},
                                config.tied_embeddings ? Need::kOptional : Need::kRequired};
  struct Linear {
    std::string_view name;
    int64_t rows;
    int64_t cols;
    bool qkv;
    bool bias;
  };
  const Linear linears[] = {
      {"self_attn.q_proj", q_rows, hidden, true, config.attention_bias},
      {"self_attn.k_proj", kv_rows, hidden, true, config.attention_bias},
      {"self_attn.v_proj", kv_rows, hidden, true, config.attention_bias},
      {"self_attn.o_proj", hidden, q_rows, false, config.attention_bias},
      {"mlp.gate_proj", config.intermediate_size, hidden, false, config.mlp_bias},
      {"mlp.up_proj", config.intermediate_size, hidden, false, config.mlp_bias},
      {"mlp.down_proj", hidden, config.intermediate_size, false, config.mlp_bias},
  };
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    const std::string prefix = absl::StrFormat("model.layers.%d.", layer);
    for (const Linear& linear : linears) {
      const std::string name = absl::StrFormat("%s%s", prefix, linear.name);
      expected[name + ".weight"] = {{linear.rows, linear.cols}, Need::kRequired};
      const bool bias = linear.bias || (config.architecture == Architecture::kQwen2 && linear.qkv);
      expected[name + ".bias"] = {{linear.rows}, bias ? Need::kRequired : Need::kOptional};
    }
    for (const std::string_view norm : {"input_layernorm", "post_attention_layernorm"}) {
      expected[absl::StrFormat("%s%s.weight", prefix, norm)] = {{hidden}, Need::kRequired};
    }
    if (config.architecture == Architecture::kQwen3) {
      for (const std::string_view norm : {"q_norm", "k_norm"}) {
        expected[absl::StrFormat("%sself_attn.%s.weight", prefix, norm)] = {{config.head_size},
                                                                            Need::kRequired};
      }
    }
  }
  return expected;
}

bool HoldsValues(TensorEncoding encoding) {
  return encoding != TensorEncoding::kI8 && encoding != TensorEncoding::kI32 &&
         encoding != TensorEncoding::kI64 && encoding != TensorEncoding::kF8E4M3;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrFormat("shape [%s]", absl::StrJoin(shape, ", "));
}

absl::Status Bad(std::string_view file, std::string_view tensor, std::string_view expected,
                 std::string_view found) {
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: tensor %s: expected %s, found %s", file, tensor, expected, found));
}

// A bias stands in every layer or in none: a lost one would otherwise pass for a model without.
absl::Status CheckBiases(const ModelConfig& config, std::span<const TensorView> tensors,
                         std::string_view file) {
  std::unordered_map<std::string_view, int64_t> layers;  // "self_attn.q_proj.bias" -> how many
  for (const TensorView& tensor : tensors) {
    if (!tensor.name.ends_with(".bias")) continue;
    const size_t layer = std::string_view("model.layers.").size();
    const size_t stem = tensor.name.find('.', layer) + 1;
    ++layers[std::string_view(tensor.name).substr(stem)];
  }
  for (const auto& [stem, count] : layers) {
    if (count != config.num_layers) {
      return Bad(file, absl::StrFormat("model.layers.*.%s", stem),
                 absl::StrFormat("one in each of %d layers, or none", config.num_layers),
                 absl::StrFormat("%d", count));
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool IsIgnoredTensor(std::string_view name) {
  return name.ends_with(".self_attn.rotary_emb.inv_freq") || name == "model.rotary_emb.inv_freq";
}

absl::Status CheckTensors(const ModelConfig& config, std::span<const TensorView> tensors,
                          std::string_view file) {
  const auto expected = ExpectedTensors(config);
  for (const TensorView& tensor : tensors) {
    const auto it = expected.find(tensor.name);
    if (it == expected.end()) {
      return Bad(file, tensor.name,
                 absl::StrFormat("a tensor of a %s model of %d layers", config.architecture_name,
                                 config.num_layers),
                 ShapeText(tensor.shape));
    }
    if (tensor.shape != it->second.shape) {
      return Bad(file, tensor.name, ShapeText(it->second.shape), ShapeText(tensor.shape));
    }
    if (!HoldsValues(tensor.encoding)) {
      return Bad(file, tensor.name, "an encoding of real values",
                 TensorEncodingName(tensor.encoding));
    }
  }
  BANYAN_RETURN_IF_ERROR(CheckBiases(config, tensors, file));
  std::vector<std::string_view> missing;
  for (const auto& [name, entry] : expected) {
    if (entry.need == Need::kRequired &&
        !std::ranges::binary_search(tensors, name, {}, &TensorView::name)) {
      missing.push_back(name);
    }
  }
  if (missing.empty()) return absl::OkStatus();
  const std::string_view first = *std::ranges::min_element(missing);
  return Bad(file, first, ShapeText(expected.at(std::string(first)).shape),
             absl::StrFormat("nothing (%u tensors are missing)", missing.size()));
}

}  // namespace banyan
