// Where the default model lies that tests with the label `model` run on.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace banyan::testing {

// $BANYAN_MODEL_DIR, else the cache folder that deploy/toolchain/fetch_model.py fills.
inline std::filesystem::path DefaultModelPath() {
  constexpr const char* kName = "SmolLM2-135M-Instruct.Q4_1.gguf";
  if (const char* dir = std::getenv("BANYAN_MODEL_DIR")) return std::filesystem::path(dir) / kName;
  if (const char* cache = std::getenv("BANYAN_CACHE"))
    return std::filesystem::path(cache) / "models" / kName;
  if (const char* cache = std::getenv("XDG_CACHE_HOME"))
    return std::filesystem::path(cache) / "banyan/models" / kName;
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home == nullptr ? "." : home) / ".cache/banyan/models" / kName;
}

}  // namespace banyan::testing
