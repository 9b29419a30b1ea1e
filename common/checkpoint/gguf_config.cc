#include "common/checkpoint/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/checkpoint/model_config_checks.h"

namespace banyan {
namespace {

// Keys of one architecture: "llama.block_count".
class Keys {
 public:
  Keys(const GgufHeader& header, std::string architecture, std::string_view file)
      : header_(header), architecture_(std::move(architecture)), file_(file) {}

  std::string Name(std::string_view key) const {
    return absl::StrFormat("%s.%s", architecture_, key);
  }
  absl::StatusOr<std::optional<int64_t>> Integer(std::string_view key) const {
    return header_.Integer(Name(key));
  }
  absl::StatusOr<std::optional<double>> Real(std::string_view key) const {
    return header_.Real(Name(key));
  }
  absl::StatusOr<std::optional<std::string_view>> String(std::string_view key) const {
    return header_.String(Name(key));
  }
  absl::Status Require(std::string_view key, int64_t& target) const {
    BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> value, Integer(key));
    if (!value) return Error(key, "an integer", "nothing");
    target = *value;
    return absl::OkStatus();
  }
  absl::Status Error(std::string_view key, std::string_view expected,
                     std::string_view found) const {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: %s: expected %s, found %s", file_, Name(key), expected, found));
  }

 private:
  const GgufHeader& header_;
  std::string architecture_;
  std::string_view file_;
};

absl::Status ReadSizes(const Keys& keys, ModelConfig& config) {
  BANYAN_RETURN_IF_ERROR(keys.Require("embedding_length", config.hidden_size));
  BANYAN_RETURN_IF_ERROR(keys.Require("feed_forward_length", config.intermediate_size));
  BANYAN_RETURN_IF_ERROR(keys.Require("block_count", config.num_layers));
  BANYAN_RETURN_IF_ERROR(keys.Require("attention.head_count", config.num_heads));
  BANYAN_RETURN_IF_ERROR(keys.Require("context_length", config.context_length));
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> kv_heads,
                          keys.Integer("attention.head_count_kv"));
  config.num_kv_heads = kv_heads.value_or(config.num_heads);
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> head_size,
                          keys.Integer("attention.key_length"));
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> value_size,
                          keys.Integer("attention.value_length"));
  if (!head_size && (config.num_heads <= 0 || config.hidden_size % config.num_heads != 0)) {
    return keys.Error("attention.key_length",
                      "an integer where head_count does not divide embedding_length", "nothing");
  }
  config.head_size = head_size ? *head_size : config.hidden_size / config.num_heads;
  if (value_size && *value_size != config.head_size) {
    return keys.Error("attention.value_length",
                      absl::StrFormat("%d, as key_length", config.head_size),
                      absl::StrFormat("%d", *value_size));
  }
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> rotated,
                          keys.Integer("rope.dimension_count"));
  if (rotated && *rotated != config.head_size) {
    return keys.Error("rope.dimension_count",
                      absl::StrFormat("%d, the head size", config.head_size),
                      absl::StrFormat("%d", *rotated));
  }
  if (config.num_layers < 1 || config.num_layers > kLayersMax) {
    return keys.Error("block_count", absl::StrFormat("an integer in [1, %d]", kLayersMax),
                      absl::StrFormat("%d", config.num_layers));
  }
  BANYAN_ASSIGN_OR_RETURN(const std::optional<double> epsilon,
                          keys.Real("attention.layer_norm_rms_epsilon"));
  if (!epsilon) return keys.Error("attention.layer_norm_rms_epsilon", "a number", "nothing");
  config.norm_epsilon = *epsilon;
  return absl::OkStatus();
}

absl::Status ReadRope(const Keys& keys, ModelConfig& config) {
  BANYAN_ASSIGN_OR_RETURN(const std::optional<double> theta, keys.Real("rope.freq_base"));
  config.rope_theta = theta.value_or(10000);
  BANYAN_ASSIGN_OR_RETURN(const std::optional<std::string_view> type,
                          keys.String("rope.scaling.type"));
  RopeScaling& rope = config.rope_scaling;
  if (type == "linear") {
    rope.type = RopeScalingType::kLinear;
  } else if (type == "yarn") {
    rope.type = RopeScalingType::kYarn;
  } else if (type && *type != "none") {
    return keys.Error("rope.scaling.type", "none, linear or yarn", *type);
  }
  BANYAN_ASSIGN_OR_RETURN(const std::optional<double> factor, keys.Real("rope.scaling.factor"));
  rope.factor = factor.value_or(1);
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> original,
                          keys.Integer("rope.scaling.original_context_length"));
  rope.original_context_length = original.value_or(0);
  if (!type && !factor) {  // files from before rope.scaling.type
    BANYAN_ASSIGN_OR_RETURN(const std::optional<double> linear, keys.Real("rope.scale_linear"));
    if (linear && *linear != 1) {
      rope.type = RopeScalingType::kLinear;
      rope.factor = *linear;
    }
  }
  // GGUF's factor comes on top of YaRN's own; ModelConfig's replaces it.
  BANYAN_ASSIGN_OR_RETURN(rope.attention_factor, keys.Real("rope.scaling.attn_factor"));
  if (rope.attention_factor) *rope.attention_factor *= 0.1 * std::log(rope.factor) + 1;
  BANYAN_ASSIGN_OR_RETURN(const std::optional<double> fast,
                          keys.Real("rope.scaling.yarn_beta_fast"));
  BANYAN_ASSIGN_OR_RETURN(const std::optional<double> slow,
                          keys.Real("rope.scaling.yarn_beta_slow"));
  rope.beta_fast = fast.value_or(rope.beta_fast);
  rope.beta_slow = slow.value_or(rope.beta_slow);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<TokenId>> ReadToken(const GgufHeader& header, std::string_view key,
                                                 std::string_view file, int64_t vocabulary_size) {
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> id, header.Integer(key));
  if (!id) return std::nullopt;
  if (*id < 0 || *id >= vocabulary_size) {
    return absl::InvalidArgumentError(absl::StrFormat("%s: %s: expected an id in [0, %d), found %d",
                                                      file, key, vocabulary_size, *id));
  }
  return static_cast<TokenId>(*id);
}

absl::Status ReadTokens(const GgufHeader& header, std::string_view file, ModelConfig& config) {
  BANYAN_ASSIGN_OR_RETURN(config.bos_token_id, ReadToken(header, "tokenizer.ggml.bos_token_id",
                                                         file, config.vocabulary_size));
  for (const std::string_view key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                     "tokenizer.ggml.eom_token_id"}) {
    BANYAN_ASSIGN_OR_RETURN(const std::optional<TokenId> id,
                            ReadToken(header, key, file, config.vocabulary_size));
    if (id && std::ranges::find(config.eos_token_ids, *id) == config.eos_token_ids.end()) {
      config.eos_token_ids.push_back(*id);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelConfig> ParseGgufConfig(const GgufHeader& header, std::string_view file) {
  ModelConfig config;
  BANYAN_ASSIGN_OR_RETURN(const std::optional<std::string_view> name,
                          header.String("general.architecture"));
  if (!name) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: general.architecture: expected a string, found nothing", file));
  }
  BANYAN_ASSIGN_OR_RETURN(config.architecture,
                          ParseArchitecture(*name, file, "general.architecture"));
  config.architecture_name = std::string(*name);
  const Keys keys(header, config.architecture_name, file);
  BANYAN_RETURN_IF_ERROR(ReadSizes(keys, config));
  BANYAN_RETURN_IF_ERROR(ReadRope(keys, config));
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> vocabulary, keys.Integer("vocab_size"));
  // Older converters leave the key out; the embedding table knows.
  const auto embeddings =
      std::ranges::find(header.tensors(), "token_embd.weight", &GgufTensorInfo::name);
  if (!vocabulary && (embeddings == header.tensors().end() || embeddings->shape.size() != 2)) {
    return keys.Error("vocab_size", "an integer, or the tensor token_embd.weight", "neither");
  }
  config.vocabulary_size = vocabulary ? *vocabulary : embeddings->shape[0];
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> window,
                          keys.Integer("attention.sliding_window"));
  config.sliding_window.assign(static_cast<size_t>(config.num_layers), window.value_or(0));
  config.tied_embeddings = std::ranges::find(header.tensors(), "output.weight",
                                             &GgufTensorInfo::name) == header.tensors().end();
  BANYAN_ASSIGN_OR_RETURN(const std::optional<std::string_view> title,
                          header.String("general.name"));
  config.name = std::string(title.value_or(""));
  BANYAN_RETURN_IF_ERROR(ReadTokens(header, file, config));
  BANYAN_RETURN_IF_ERROR(CheckModelConfig(config, file));
  return config;
}

}  // namespace banyan
