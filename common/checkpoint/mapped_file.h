// A file mapped read-only into memory. Immutable and thread-safe.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"

namespace banyan {

class MappedFile {
 public:
  // NOT_FOUND where nothing is there; INVALID_ARGUMENT for what is no regular file or is empty.
  static absl::StatusOr<std::unique_ptr<MappedFile>> Open(const std::filesystem::path& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return bytes_; }
  // Tells the kernel that the pages of `part`, which lies in bytes(), will not be read again soon.
  void Release(std::span<const std::byte> part) const;

 private:
  MappedFile(std::string path, std::span<const std::byte> bytes)
      : path_(std::move(path)), bytes_(bytes) {}

  const std::string path_;
  const std::span<const std::byte> bytes_;
};

// The whole of a small text file. Refuses (INVALID_ARGUMENT) more than `bytes_max`, naming both
// sizes.
absl::StatusOr<std::string> ReadSmallFile(const std::filesystem::path& path, size_t bytes_max);

}  // namespace banyan
