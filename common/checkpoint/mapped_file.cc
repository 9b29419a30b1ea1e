#include "common/checkpoint/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "absl/strings/str_format.h"

namespace banyan {
namespace {

absl::Status ErrnoStatus(const std::string& path, int error) {
  if (error == ENOENT || error == ENOTDIR) {
    return absl::NotFoundError(absl::StrFormat("%s: no such file", path));
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: cannot be read: %s", path, std::strerror(error)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<MappedFile>> MappedFile::Open(const std::filesystem::path& path) {
  const std::string name = path.string();
  const int fd = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(name, errno);
  struct stat info{};
  if (::fstat(fd, &info) != 0) {
    const int error = errno;
    ::close(fd);
    return ErrnoStatus(name, error);
  }
  if (!S_ISREG(info.st_mode) || info.st_size == 0) {
    ::close(fd);
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: expected a file with content, found %s", name,
                        S_ISREG(info.st_mode) ? "an empty file" : "no regular file"));
  }
  const size_t size = static_cast<size_t>(info.st_size);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  const int error = errno;
  ::close(fd);
  if (address == MAP_FAILED) return ErrnoStatus(name, error);
  return std::unique_ptr<MappedFile>(
      new MappedFile(name, {static_cast<const std::byte*>(address), size}));
}

MappedFile::~MappedFile() { ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size()); }

void MappedFile::Release(std::span<const std::byte> part) const {
  const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  // Only pages that belong to this part alone.
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(part.data()) + page - 1) & ~(page - 1);
  const uintptr_t end = reinterpret_cast<uintptr_t>(part.data() + part.size()) & ~(page - 1);
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

absl::StatusOr<std::string> ReadSmallFile(const std::filesystem::path& path, size_t bytes_max) {
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (error) return ErrnoStatus(path.string(), error.value());
  if (size > bytes_max) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: %u bytes, limit %u", path.string(), size, bytes_max));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return ErrnoStatus(path.string(), EACCES);
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

}  // namespace banyan
