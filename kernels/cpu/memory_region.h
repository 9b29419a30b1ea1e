// Anonymous memory for weights, caches and scratch: zeroed, released when the object dies.
//
// Regions of 2 MiB and more are aligned to 2 MiB and ask for huge pages: one thread reads weights
// about 1.4 times as fast from them. Pages belong to the thread that touches them first (NUMA).
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"

namespace banyan::kernels::cpu {

class MemoryRegion {
 public:
  MemoryRegion() = default;
  MemoryRegion(MemoryRegion&& other) noexcept;
  MemoryRegion& operator=(MemoryRegion&& other) noexcept;
  MemoryRegion(const MemoryRegion&) = delete;
  MemoryRegion& operator=(const MemoryRegion&) = delete;
  ~MemoryRegion();

  // RESOURCE_EXHAUSTED, naming `purpose` and the size, when the memory is not there or exceeds what
  // the machine has. Zero bytes give an empty region.
  static absl::StatusOr<MemoryRegion> Map(size_t size_bytes, std::string_view purpose);
  // Bytes [offset, offset + size_bytes) of `whole`, which lives as long as any of its parts.
  static MemoryRegion PartOf(std::shared_ptr<const MemoryRegion> whole, size_t offset,
                             size_t size_bytes);

  char* data() const { return data_; }
  size_t size_bytes() const { return size_bytes_; }

 private:
  char* data_ = nullptr;
  size_t size_bytes_ = 0;    // as asked for
  void* mapping_ = nullptr;  // what munmap needs
  size_t mapping_bytes_ = 0;
  std::shared_ptr<const MemoryRegion> whole_;  // of a part; it has no mapping of its own
};

// Lays matrices behind each other in large regions, so that small ones stand on huge pages too. A
// region is released when nothing in it lives any more. One thread at a time.
class MemoryArena {
 public:
  // Aligned to 64 bytes. Errors as MemoryRegion::Map.
  absl::StatusOr<MemoryRegion> Allocate(size_t size_bytes, std::string_view purpose);

 private:
  std::shared_ptr<const MemoryRegion> chunk_;
  size_t used_bytes_ = 0;  // of chunk_
};

}  // namespace banyan::kernels::cpu
