// The architecture of a decoder-only transformer as a checkpoint states it, whatever the file
// format.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/token.h"

namespace banyan {

enum class Architecture { kLlama, kMistral, kQwen2, kQwen3 };

enum class RopeScalingType { kNone, kLinear, kDynamic, kLlama3, kYarn };

struct RopeScaling {
  RopeScalingType type = RopeScalingType::kNone;
  double factor = 1;
  int64_t original_context_length = 0;     // 0: context_length
  double low_freq_factor = 1;              // llama3
  double high_freq_factor = 4;             // llama3
  double beta_fast = 32;                   // yarn
  double beta_slow = 1;                    // yarn
  std::optional<double> attention_factor;  // yarn; absent: 0.1 ln(factor) + 1
};

struct ModelConfig {
  Architecture architecture = Architecture::kLlama;
  std::string architecture_name;  // as published, for example "llama", "qwen3"
  std::string name;               // general.name or directory name, for display
  int64_t vocabulary_size = 0;    // V
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_layers = 0;    // L
  int64_t num_heads = 0;     // H
  int64_t num_kv_heads = 0;  // K, divides H
  int64_t head_size = 0;     // D
  int64_t context_length = 0;
  double norm_epsilon = 1e-5;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  // [D / 2] or empty: each rotation frequency is divided by its entry, besides rope_scaling. How
  // GGUF files carry Llama 3.1's scaling (tensor rope_freqs.weight).
  std::vector<float> rope_frequency_divisors;
  // Tokens a query sees, itself included; 0: no window. Per layer, [L].
  std::vector<int64_t> sliding_window;
  bool tied_embeddings = false;
  // config.json promises biases of q, k, v and o, or of gate, up and down. GGUF files do not say;
  // there the tensors do.
  bool attention_bias = false;
  bool mlp_bias = false;
  std::vector<TokenId> eos_token_ids;  // all end tokens, generation_config.json first
  std::optional<TokenId> bos_token_id;
};

// Sampling defaults of generation_config.json; absent where the model has none.
struct GenerationDefaults {
  std::optional<float> temperature;
  std::optional<float> top_p;
  std::optional<int32_t> top_k;
  std::optional<float> min_p;
  std::optional<float> repetition_penalty;
};

}  // namespace banyan
