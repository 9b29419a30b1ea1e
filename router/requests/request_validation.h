// What a client may ask for: every field of a request against its range, before anything else looks
// at it. Pure functions of the message and the model's limits; fuzzed. Prompt lengths of texts and
// conversations are only known after tokenization and are checked there (request_preparation).
//
// Messages name field, limit and value; prompt text never appears in them.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "banyan/v1/inference_service.pb.h"

namespace banyan::router {

struct ModelLimits {
  uint32_t context_length = 0;
  uint32_t vocabulary_size = 0;
};

inline constexpr size_t kPromptBytesMax = 4u << 20;
inline constexpr size_t kModelNameBytesMax = 256;
inline constexpr int kDetokenizeTokensMax = 1'048'576;

// What needs no model: ids and names. OK, or INVALID_ARGUMENT with all violations.
absl::Status ValidateEnvelope(const v1::GenerateRequest& request);
// All the rest. INVALID_ARGUMENT with all violations (at most 16), or UNIMPLEMENTED for what this
// build does not do (constraints, tools).
absl::Status ValidateGenerate(const v1::GenerateRequest& request, const ModelLimits& limits);

absl::Status ValidateTokenize(const v1::TokenizeRequest& request);
absl::Status ValidateDetokenize(const v1::DetokenizeRequest& request, const ModelLimits& limits);

}  // namespace banyan::router
