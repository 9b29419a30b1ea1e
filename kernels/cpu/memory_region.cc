#include "kernels/cpu/memory_region.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace banyan::kernels::cpu {
namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;
// Pages of a chunk that nothing was laid on are never touched and so take no memory.
constexpr size_t kChunkBytes = size_t{64} << 20;
constexpr size_t kArenaAlignment = 64;

constexpr size_t RoundUpTo(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

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
  std::swap(whole_, other.whole_);
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
  if (huge) address = RoundUpTo(address, kHugePageBytes);
  region.data_ = reinterpret_cast<char*>(address);
  // Advice only: without huge pages everything works, slower.
  if (huge) madvise(region.data_, size_bytes, MADV_HUGEPAGE);
  return region;
}

MemoryRegion MemoryRegion::PartOf(std::shared_ptr<const MemoryRegion> whole, size_t offset,
                                  size_t size_bytes) {
  BANYAN_CHECK_LE(offset + size_bytes, whole->size_bytes());
  MemoryRegion part;
  part.data_ = whole->data() + offset;
  part.size_bytes_ = size_bytes;
  part.whole_ = std::move(whole);
  return part;
}

absl::StatusOr<MemoryRegion> MemoryArena::Allocate(size_t size_bytes, std::string_view purpose) {
  if (size_bytes >= kChunkBytes) return MemoryRegion::Map(size_bytes, purpose);
  if (size_bytes == 0) return MemoryRegion();
  if (chunk_ == nullptr || chunk_->size_bytes() - used_bytes_ < size_bytes) {
    BANYAN_ASSIGN_OR_RETURN(MemoryRegion chunk, MemoryRegion::Map(kChunkBytes, purpose));
    chunk_ = std::make_shared<const MemoryRegion>(std::move(chunk));
    used_bytes_ = 0;
  }
  MemoryRegion part = MemoryRegion::PartOf(chunk_, used_bytes_, size_bytes);
  used_bytes_ =
      std::min(chunk_->size_bytes(), RoundUpTo(used_bytes_ + size_bytes, kArenaAlignment));
  return part;
}

}  // namespace banyan::kernels::cpu
