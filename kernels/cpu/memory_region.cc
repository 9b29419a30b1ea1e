#include "kernels/cpu/memory_region.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace banyan::kernels::cpu {
namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;

size_t PhysicalMemoryBytes() {
  return static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

MemoryRegion::MemoryRegion(MemoryRegion&& other) noexcept { *this = std::move(other); }

MemoryRegion& MemoryRegion::operator=(MemoryRegion&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_bytes_, other.size_bytes_);
  std::swap(mapping_, other.mapping_);
  std::swap(mapping_bytes_, other.mapping_bytes_);
  return *this;
}

MemoryRegion::~MemoryRegion() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
}

absl::StatusOr<MemoryRegion> MemoryRegion::Map(size_t size_bytes, std::string_view purpose) {
  MemoryRegion region;
  if (size_bytes == 0) return region;
  const size_t machine_bytes = PhysicalMemoryBytes();
  if (size_bytes > machine_bytes) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "%s needs %d bytes of memory, the machine has %d", purpose, size_bytes, machine_bytes));
  }
  const bool huge = size_bytes >= kHugePageBytes;
  const size_t alignment = huge ? kHugePageBytes : 0;
  const size_t mapping_bytes = size_bytes + alignment;
  void* mapping =
      mmap(nullptr, mapping_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) {
    return absl::ResourceExhaustedError(absl::StrFormat("%s needs %d bytes of memory: %s", purpose,
                                                        size_bytes, std::strerror(errno)));
  }
  region.mapping_ = mapping;
  region.mapping_bytes_ = mapping_bytes;
  region.size_bytes_ = size_bytes;
  uintptr_t address = reinterpret_cast<uintptr_t>(mapping);
  if (huge) address = (address + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  region.data_ = reinterpret_cast<char*>(address);
  // Advice only: without huge pages everything works, slower.
  if (huge) madvise(region.data_, size_bytes, MADV_HUGEPAGE);
  return region;
}

}  // namespace banyan::kernels::cpu
