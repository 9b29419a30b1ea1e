// A model configuration out of GGUF metadata (keys ARCH.*, tokenizer.ggml.*_token_id; ggml-org's
// specification).
#pragma once

#include "absl/status/statusor.h"
#include "common/checkpoint/gguf_header.h"
#include "common/checkpoint/model_config.h"

namespace banyan {

// tied_embeddings follows from the tensor table. rope_frequency_divisors are not filled in: they
// are tensor data.
absl::StatusOr<ModelConfig> ParseGgufConfig(const GgufHeader& header, std::string_view file);

}  // namespace banyan
