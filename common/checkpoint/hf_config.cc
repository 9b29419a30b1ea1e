#include "common/checkpoint/hf_config.h"

#include <simdjson.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/checkpoint/json_reader.h"
#include "common/checkpoint/model_config_checks.h"

namespace banyan {
namespace {

constexpr size_t kEosTokensMax = 64;

absl::Status RequireInteger(const JsonObject& json, std::string_view key, int64_t& target) {
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> value, json.Integer(key));
  if (!value) return json.Error(key, "an integer", "nothing");
  target = *value;
  return absl::OkStatus();
}

template <typename T, typename U>
void SetIfPresent(const std::optional<T>& value, U& target) {
  if (value) target = static_cast<U>(*value);
}

absl::StatusOr<RopeScalingType> ParseRopeType(const JsonObject& json, std::string_view name) {
  if (name == "default") return RopeScalingType::kNone;
  if (name == "linear") return RopeScalingType::kLinear;
  if (name == "dynamic") return RopeScalingType::kDynamic;
  if (name == "llama3") return RopeScalingType::kLlama3;
  if (name == "yarn") return RopeScalingType::kYarn;
  return absl::UnimplementedError(
      json.Error("rope_type", "default, linear, dynamic, llama3 or yarn", name).message());
}

// rope_scaling (4.x) or rope_parameters (5.x); the latter carries rope_theta too.
absl::Status ReadRopeObject(const JsonObject& json, ModelConfig& config) {
  RopeScaling& rope = config.rope_scaling;
  BANYAN_ASSIGN_OR_RETURN(std::optional<std::string_view> type, json.String("rope_type"));
  if (!type) {
    BANYAN_ASSIGN_OR_RETURN(type, json.String("type"));
  }
  BANYAN_ASSIGN_OR_RETURN(rope.type, ParseRopeType(json, type.value_or("default")));
  struct Field {
    std::string_view key;
    double* target;
  };
  for (const Field field :
       {Field{"factor", &rope.factor}, Field{"low_freq_factor", &rope.low_freq_factor},
        Field{"high_freq_factor", &rope.high_freq_factor}, Field{"beta_fast", &rope.beta_fast},
        Field{"beta_slow", &rope.beta_slow}, Field{"rope_theta", &config.rope_theta}}) {
    BANYAN_ASSIGN_OR_RETURN(const std::optional<double> value, json.Real(field.key));
    SetIfPresent(value, *field.target);
  }
  BANYAN_ASSIGN_OR_RETURN(rope.attention_factor, json.Real("attention_factor"));
  for (const std::string_view unsupported :
       {"mscale", "mscale_all_dim", "short_factor", "long_factor", "truncate"}) {
    if (json.Find(unsupported)) {
      return absl::UnimplementedError(json.Error(unsupported, "no such key", "one").message());
    }
  }
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> original,
                          json.Integer("original_max_position_embeddings"));
  SetIfPresent(original, rope.original_context_length);
  return absl::OkStatus();
}

absl::Status ReadRope(const JsonObject& json, ModelConfig& config) {
  BANYAN_ASSIGN_OR_RETURN(const std::optional<double> theta, json.Real("rope_theta"));
  SetIfPresent(theta, config.rope_theta);
  for (const std::string_view key : {"rope_scaling", "rope_parameters"}) {
    BANYAN_ASSIGN_OR_RETURN(const std::optional<JsonObject> object, json.Object(key));
    if (object) BANYAN_RETURN_IF_ERROR(ReadRopeObject(*object, config));
  }
  return absl::OkStatus();
}

// layer_types names each layer's attention where it is given; without it Qwen's first
// max_window_layers layers see everything and the others slide, and Mistral slides everywhere.
absl::Status ReadSlidingWindow(const JsonObject& json, ModelConfig& config) {
  config.sliding_window.assign(static_cast<size_t>(config.num_layers), 0);
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> window, json.Integer("sliding_window"));
  const bool is_qwen =
      config.architecture == Architecture::kQwen2 || config.architecture == Architecture::kQwen3;
  BANYAN_ASSIGN_OR_RETURN(const std::optional<bool> use, json.Bool("use_sliding_window"));
  if (!window || !use.value_or(!is_qwen) || config.architecture == Architecture::kLlama)
    return absl::OkStatus();
  const auto types = json.Find("layer_types");
  if (!types) {
    BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> full_layers,
                            json.Integer("max_window_layers"));
    const int64_t first = is_qwen ? full_layers.value_or(config.num_layers) : 0;
    for (int64_t layer = std::max<int64_t>(first, 0); layer < config.num_layers; ++layer) {
      config.sliding_window[static_cast<size_t>(layer)] = *window;
    }
    return absl::OkStatus();
  }
  simdjson::dom::array list;
  if (types->get_array().get(list) != simdjson::SUCCESS ||
      list.size() != config.sliding_window.size()) {
    return json.Error("layer_types", absl::StrFormat("an array of %d names", config.num_layers),
                      JsonExcerpt(*types));
  }
  for (size_t layer = 0; layer < list.size(); ++layer) {
    std::string_view name;
    const bool is_name = list.at(layer).get_string().get(name) == simdjson::SUCCESS;
    if (!is_name || (name != "full_attention" && name != "sliding_attention")) {
      return json.Error("layer_types", "full_attention or sliding_attention",
                        is_name ? name : "another type");
    }
    if (name == "sliding_attention") config.sliding_window[layer] = *window;
  }
  return absl::OkStatus();
}

// An id, a list of ids, or nothing.
absl::Status ReadEosTokens(const JsonObject& json, ModelConfig& config) {
  const auto element = json.Find("eos_token_id");
  if (!element) return absl::OkStatus();
  std::vector<TokenId> ids;
  simdjson::dom::array list;
  int64_t id = 0;
  const auto add = [&](simdjson::dom::element item) {
    if (item.get_int64().get(id) != simdjson::SUCCESS || id < 0 || id >= kVocabularyMax)
      return false;
    ids.push_back(static_cast<TokenId>(id));
    return true;
  };
  bool good = true;
  if (element->get_array().get(list) == simdjson::SUCCESS) {
    good = list.size() <= kEosTokensMax;
    for (const simdjson::dom::element item : list) good = good && add(item);
  } else {
    good = add(*element);
  }
  if (!good)
    return json.Error("eos_token_id", "a token id or at most 64 of them", JsonExcerpt(*element));
  for (const TokenId known : config.eos_token_ids) {
    if (std::find(ids.begin(), ids.end(), known) == ids.end()) ids.push_back(known);
  }
  config.eos_token_ids = std::move(ids);
  return absl::OkStatus();
}

absl::Status ReadSizes(const JsonObject& json, ModelConfig& config) {
  BANYAN_RETURN_IF_ERROR(RequireInteger(json, "vocab_size", config.vocabulary_size));
  BANYAN_RETURN_IF_ERROR(RequireInteger(json, "hidden_size", config.hidden_size));
  BANYAN_RETURN_IF_ERROR(RequireInteger(json, "intermediate_size", config.intermediate_size));
  BANYAN_RETURN_IF_ERROR(RequireInteger(json, "num_hidden_layers", config.num_layers));
  BANYAN_RETURN_IF_ERROR(RequireInteger(json, "num_attention_heads", config.num_heads));
  BANYAN_RETURN_IF_ERROR(RequireInteger(json, "max_position_embeddings", config.context_length));
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> kv_heads,
                          json.Integer("num_key_value_heads"));
  config.num_kv_heads = kv_heads.value_or(config.num_heads);
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> head_size, json.Integer("head_dim"));
  if (!head_size && (config.num_heads <= 0 || config.hidden_size % config.num_heads != 0)) {
    return json.Error(
        "head_dim", "an integer where num_attention_heads does not divide hidden_size", "nothing");
  }
  config.head_size = head_size ? *head_size : config.hidden_size / config.num_heads;
  // Before anything is sized by it.
  if (config.num_layers < 1 || config.num_layers > kLayersMax) {
    return json.Error("num_hidden_layers", absl::StrFormat("an integer in [1, %d]", kLayersMax),
                      absl::StrFormat("%d", config.num_layers));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelConfig> ParseHfConfig(std::string_view text, std::string_view file) {
  simdjson::dom::parser parser;
  BANYAN_ASSIGN_OR_RETURN(const JsonObject json, JsonObject::Parse(parser, text, file));
  ModelConfig config;
  BANYAN_ASSIGN_OR_RETURN(const std::optional<std::string_view> model_type,
                          json.String("model_type"));
  if (!model_type) return json.Error("model_type", "a string", "nothing");
  BANYAN_ASSIGN_OR_RETURN(config.architecture, ParseArchitecture(*model_type, file, "model_type"));
  config.architecture_name = std::string(*model_type);
  if (json.Find("quantization_config")) {
    return absl::UnimplementedError(
        absl::StrFormat("%s: quantization_config: quantized Hugging Face checkpoints are not "
                        "served yet; expected F32, F16 or BF16 "
                        "weights, or a GGUF file",
                        file));
  }
  BANYAN_ASSIGN_OR_RETURN(const std::optional<std::string_view> activation,
                          json.String("hidden_act"));
  if (activation.value_or("silu") != "silu") {
    return absl::UnimplementedError(json.Error("hidden_act", "silu", *activation).message());
  }
  BANYAN_ASSIGN_OR_RETURN(const std::optional<double> rotary, json.Real("partial_rotary_factor"));
  if (rotary.value_or(1) != 1) {
    return absl::UnimplementedError(
        json.Error("partial_rotary_factor", "1", absl::StrFormat("%g", *rotary)).message());
  }
  BANYAN_RETURN_IF_ERROR(ReadSizes(json, config));
  BANYAN_ASSIGN_OR_RETURN(const std::optional<double> epsilon, json.Real("rms_norm_eps"));
  SetIfPresent(epsilon, config.norm_epsilon);
  BANYAN_RETURN_IF_ERROR(ReadRope(json, config));
  BANYAN_RETURN_IF_ERROR(ReadSlidingWindow(json, config));
  BANYAN_ASSIGN_OR_RETURN(const std::optional<bool> tied, json.Bool("tie_word_embeddings"));
  config.tied_embeddings = tied.value_or(false);
  BANYAN_ASSIGN_OR_RETURN(const std::optional<bool> attention_bias, json.Bool("attention_bias"));
  BANYAN_ASSIGN_OR_RETURN(const std::optional<bool> mlp_bias, json.Bool("mlp_bias"));
  config.attention_bias = attention_bias.value_or(false);
  config.mlp_bias = mlp_bias.value_or(false);
  BANYAN_RETURN_IF_ERROR(ReadEosTokens(json, config));
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> bos, json.Integer("bos_token_id"));
  if (bos && (*bos < 0 || *bos >= config.vocabulary_size)) {
    return json.Error("bos_token_id", "an id below vocab_size", absl::StrFormat("%d", *bos));
  }
  if (bos) config.bos_token_id = static_cast<TokenId>(*bos);
  BANYAN_RETURN_IF_ERROR(CheckModelConfig(config, file));
  return config;
}

namespace {

absl::Status ReadGenerationDefaults(const JsonObject& json, GenerationDefaults& defaults) {
  struct Field {
    std::string_view key;
    std::optional<float>* target;
  };
  for (const Field field : {Field{"temperature", &defaults.temperature},
                            Field{"top_p", &defaults.top_p}, Field{"min_p", &defaults.min_p},
                            Field{"repetition_penalty", &defaults.repetition_penalty}}) {
    BANYAN_ASSIGN_OR_RETURN(const std::optional<double> value, json.Real(field.key));
    if (value && !(*value >= 0 && *value <= 1e6)) {
      return json.Error(field.key, "a number of at least 0", absl::StrFormat("%g", *value));
    }
    if (value) *field.target = static_cast<float>(*value);
  }
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> top_k, json.Integer("top_k"));
  if (top_k && (*top_k < 0 || *top_k > kVocabularyMax)) {
    return json.Error("top_k", "an integer of at least 0", absl::StrFormat("%d", *top_k));
  }
  if (top_k) defaults.top_k = static_cast<int32_t>(*top_k);
  BANYAN_ASSIGN_OR_RETURN(const std::optional<bool> sample, json.Bool("do_sample"));
  // "Do not sample" is how these files say greedy.
  if (sample && !*sample) defaults.temperature = 0.0f;
  return absl::OkStatus();
}

}  // namespace

absl::Status ParseGenerationConfig(std::string_view text, std::string_view file,
                                   ModelConfig& config, GenerationDefaults& defaults) {
  simdjson::dom::parser parser;
  BANYAN_ASSIGN_OR_RETURN(const JsonObject json, JsonObject::Parse(parser, text, file));
  BANYAN_RETURN_IF_ERROR(ReadEosTokens(json, config));
  BANYAN_RETURN_IF_ERROR(ReadGenerationDefaults(json, defaults));
  return CheckModelConfig(config, file);
}

absl::StatusOr<GenerationDefaults> ParseGenerationDefaults(std::string_view text,
                                                           std::string_view file) {
  simdjson::dom::parser parser;
  BANYAN_ASSIGN_OR_RETURN(const JsonObject json, JsonObject::Parse(parser, text, file));
  GenerationDefaults defaults;
  BANYAN_RETURN_IF_ERROR(ReadGenerationDefaults(json, defaults));
  return defaults;
}

}  // namespace banyan
