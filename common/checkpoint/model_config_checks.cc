#include "common/checkpoint/model_config_checks.h"

#include <cmath>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"

namespace banyan {
namespace {

class Checker {
 public:
  explicit Checker(std::string_view file) : file_(file) {}

  void Range(std::string_view key, int64_t value, int64_t min, int64_t max) {
    if (value < min || value > max) {
      Fail(key, absl::StrFormat("an integer in [%d, %d]", min, max), absl::StrFormat("%d", value));
    }
  }
  void Real(std::string_view key, double value, double min, double max) {
    // Written so that NaN fails.
    if (!(value >= min && value <= max)) {
      Fail(key, absl::StrFormat("a number in [%g, %g]", min, max), absl::StrFormat("%g", value));
    }
  }
  void Require(bool holds, std::string_view key, std::string_view expected,
               std::string_view found) {
    if (!holds) Fail(key, expected, found);
  }
  const absl::Status& status() const { return status_; }

 private:
  // The first one counts.
  void Fail(std::string_view key, std::string_view expected, std::string_view found) {
    if (status_.ok()) {
      status_ = absl::InvalidArgumentError(
          absl::StrFormat("%s: %s: expected %s, found %s", file_, key, expected, found));
    }
  }

  std::string_view file_;
  absl::Status status_;
};

void CheckRope(const ModelConfig& config, Checker& check) {
  check.Real("rope_theta", config.rope_theta, 1, 1e12);
  const RopeScaling& rope = config.rope_scaling;
  if (rope.type == RopeScalingType::kNone) return;
  check.Real("rope_scaling.factor", rope.factor, 1, 1e6);
  check.Range("rope_scaling.original_max_position_embeddings", rope.original_context_length, 0,
              kContextLengthMax);
  if (rope.type == RopeScalingType::kLlama3) {
    check.Real("rope_scaling.low_freq_factor", rope.low_freq_factor, 1e-6, 1e6);
    check.Real("rope_scaling.high_freq_factor", rope.high_freq_factor, 1e-6, 1e6);
    check.Require(rope.high_freq_factor > rope.low_freq_factor, "rope_scaling.high_freq_factor",
                  absl::StrFormat("more than low_freq_factor (%g)", rope.low_freq_factor),
                  absl::StrFormat("%g", rope.high_freq_factor));
    check.Range("rope_scaling.original_max_position_embeddings", rope.original_context_length, 1,
                kContextLengthMax);
  }
  if (rope.type == RopeScalingType::kYarn) {
    check.Real("rope_scaling.beta_fast", rope.beta_fast, 1e-6, 1e6);
    check.Real("rope_scaling.beta_slow", rope.beta_slow, 1e-6, 1e6);
    if (rope.attention_factor)
      check.Real("rope_scaling.attention_factor", *rope.attention_factor, 1e-6, 1e6);
  }
}

}  // namespace

absl::Status CheckModelConfig(const ModelConfig& config, std::string_view file) {
  Checker check(file);
  check.Range("vocabulary_size", config.vocabulary_size, 1, kVocabularyMax);
  check.Range("hidden_size", config.hidden_size, 1, kHiddenSizeMax);
  check.Range("intermediate_size", config.intermediate_size, 1, kIntermediateSizeMax);
  check.Range("num_layers", config.num_layers, 1, kLayersMax);
  check.Range("num_attention_heads", config.num_heads, 1, kHeadsMax);
  check.Range("num_key_value_heads", config.num_kv_heads, 1, config.num_heads);
  check.Range("head_size", config.head_size, 2, kHeadSizeMax);
  check.Range("context_length", config.context_length, 1, kContextLengthMax);
  if (!check.status().ok()) return check.status();
  check.Require(config.num_heads % config.num_kv_heads == 0, "num_key_value_heads",
                absl::StrFormat("a divisor of num_attention_heads (%d)", config.num_heads),
                absl::StrFormat("%d", config.num_kv_heads));
  check.Require(config.head_size % 2 == 0, "head_size", "an even number",
                absl::StrFormat("%d", config.head_size));
  check.Real("rms_norm_eps", config.norm_epsilon, 0, 1);
  CheckRope(config, check);
  for (const int64_t window : config.sliding_window)
    check.Range("sliding_window", window, 0, kContextLengthMax);
  check.Require(config.sliding_window.size() == static_cast<size_t>(config.num_layers),
                "layer_types", absl::StrFormat("%d entries", config.num_layers),
                absl::StrFormat("%u", config.sliding_window.size()));
  for (const TokenId id : config.eos_token_ids)
    check.Range("eos_token_id", id, 0, config.vocabulary_size - 1);
  if (config.bos_token_id)
    check.Range("bos_token_id", *config.bos_token_id, 0, config.vocabulary_size - 1);
  return check.status();
}

absl::StatusOr<Architecture> ParseArchitecture(std::string_view name, std::string_view file,
                                               std::string_view key) {
  if (name == "llama") return Architecture::kLlama;
  if (name == "mistral") return Architecture::kMistral;
  if (name == "qwen2") return Architecture::kQwen2;
  if (name == "qwen3") return Architecture::kQwen3;
  return absl::UnimplementedError(
      absl::StrFormat("%s: %s: expected llama, mistral, qwen2 or qwen3, found \"%s\"", file, key,
                      name.substr(0, 64)));
}

}  // namespace banyan
