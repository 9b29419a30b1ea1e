// Where tests find the files of the source tree.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace banyan::testing {

// The root of the source tree: BANYAN_SOURCE_DIR (CTest sets it), else the current directory.
inline std::filesystem::path SourceDir() {
  const char* dir = std::getenv("BANYAN_SOURCE_DIR");
  return dir == nullptr ? std::filesystem::current_path() : std::filesystem::path(dir);
}

inline std::filesystem::path GoldenDir() { return SourceDir() / "tests" / "golden"; }

}  // namespace banyan::testing
