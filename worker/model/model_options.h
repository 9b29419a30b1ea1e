// How a model is served: the sizes that its buffers are made for.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/checkpoint/model_config.h"

namespace banyan::worker {

// Longest context that is served, whatever the checkpoint allows: it bounds RoPE tables and block
// tables.
inline constexpr int32_t kContextTokensMax = 1 << 20;

struct ModelOptions {
  int32_t max_step_tokens = 512;  // T of one step, [1, 65536]
  int32_t max_sequences = 64;     // S of one step, [1, 4096]
  int32_t context_length = 0;     // tokens of one sequence; 0: the checkpoint's, bounded
  int32_t block_size = 16;        // tokens per KV block, [1, 256]
  // Rows of logits kept at a time; a step that draws from more works through them in turns.
  int32_t max_logit_rows = 64;  // [1, 4096]
};

// Longest sequence the model can be served with: the checkpoint's context length, or original
// length times factor where RoPE scaling stretches further (linear, dynamic, YaRN); at most
// kContextTokensMax.
int64_t MaxContextLength(const ModelConfig& config);

// `options` with context_length filled in. INVALID_ARGUMENT names the option, its value and limit.
absl::StatusOr<ModelOptions> ResolveOptions(const ModelConfig& config, ModelOptions options);

}  // namespace banyan::worker
