// Reads golden files that are kept compressed.
#pragma once

#include <zlib.h>

#include <filesystem>
#include <string>

namespace banyan::testing {

// The content of a .gz file; empty when it cannot be read.
inline std::string ReadGzip(const std::filesystem::path& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) return {};
  std::string content;
  char buffer[1 << 16];
  for (int size = 0; (size = gzread(file, buffer, sizeof buffer)) > 0;) {
    content.append(buffer, static_cast<size_t>(size));
  }
  gzclose(file);
  return content;
}

}  // namespace banyan::testing
