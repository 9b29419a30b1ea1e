// Sanity of a model configuration, whatever file it came from.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/checkpoint/model_config.h"

namespace banyan {

// Bounds of what Banyan serves; far above any published model of these families.
inline constexpr int64_t kVocabularyMax = 1 << 20;
inline constexpr int64_t kHiddenSizeMax = 1 << 16;
inline constexpr int64_t kIntermediateSizeMax = 1 << 18;
inline constexpr int64_t kLayersMax = 1024;
inline constexpr int64_t kHeadsMax = 1024;
inline constexpr int64_t kHeadSizeMax = 256;
inline constexpr int64_t kContextLengthMax = 1 << 24;

// INVALID_ARGUMENT "FILE: KEY: expected ..., found ...", with keys as ModelConfig names them.
absl::Status CheckModelConfig(const ModelConfig& config, std::string_view file);

// "llama" -> kLlama. UNIMPLEMENTED names what is served.
absl::StatusOr<Architecture> ParseArchitecture(std::string_view name, std::string_view file,
                                               std::string_view key);

}  // namespace banyan
