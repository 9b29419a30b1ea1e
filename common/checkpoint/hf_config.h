// config.json and generation_config.json of a Hugging Face directory.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/checkpoint/model_config.h"

namespace banyan {

// Reads both published forms of config.json: rope_theta with rope_scaling, and transformers 5's
// rope_parameters with layer_types. `file` stands in errors. INVALID_ARGUMENT or UNIMPLEMENTED
// (architecture, quantization) with the key.
absl::StatusOr<ModelConfig> ParseHfConfig(std::string_view json, std::string_view file);

// generation_config.json: sampling defaults, and the end tokens, which take precedence over
// config.json's.
absl::Status ParseGenerationConfig(std::string_view json, std::string_view file,
                                   ModelConfig& config, GenerationDefaults& defaults);

// The sampling defaults of generation_config.json alone, for who serves no weights.
absl::StatusOr<GenerationDefaults> ParseGenerationDefaults(std::string_view json,
                                                           std::string_view file);

}  // namespace banyan
