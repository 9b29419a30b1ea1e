// From what a person types for --model to a file or directory.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace banyan::cli {

inline constexpr char kDefaultModel[] = "smollm2-135m-instruct";

// Where models lie that are given by name: $BANYAN_MODEL_DIR, else $BANYAN_CACHE/models, else
// ~/.cache/banyan/models.
std::filesystem::path ModelDirectory();

// A path that exists wins; else a name is looked for in the model directory: NAME/ (with
// config.json), NAME.gguf, or, regardless of case, a .gguf file whose name begins with NAME.
// NOT_FOUND says what was tried and what there is.
absl::StatusOr<std::filesystem::path> LocateModel(const std::string& model);

}  // namespace banyan::cli
