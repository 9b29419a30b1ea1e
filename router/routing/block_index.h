// Where in the prefix tree a block is: an open-addressing table from block hash to (run, offset)
// with 8 bytes a slot. The key itself is not stored; the caller compares it in the run.
//
// The table is cut into segments by the high bits of the hash, so that growing or sweeping out
// tombstones moves a few hundred slots and never the whole table. A slot's home is its 16-bit tag,
// so a rebuild reads no keys. Thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/base/block_hash.h"

namespace banyan::router {

class BlockIndex {
 public:
  struct Place {
    uint32_t run = 0;
    uint16_t offset = 0;

    friend bool operator==(const Place&, const Place&) = default;
  };

  // 2^segment_bits segments of at most 65,536 slots each; segment_bits in [0, 16].
  explicit BlockIndex(int segment_bits);

  // The place under `hash` for which `is_key(place)` holds.
  template <typename IsKey>
  std::optional<Place> Find(const BlockHash& hash, IsKey is_key) const {
    const Segment& segment = segments_[SegmentOf(hash)];
    if (segment.capacity == 0) return std::nullopt;
    const uint32_t mask = segment.capacity - 1;
    const uint16_t tag = TagOf(hash);
    for (uint32_t at = tag & mask;; at = (at + 1) & mask) {
      const uint64_t slot = segment.slots[at];
      if (slot == kEmpty) return std::nullopt;
      if (slot == kTombstone || static_cast<uint16_t>(slot) != tag) continue;
      const Place place = PlaceOf(slot);
      if (is_key(place)) return place;
    }
  }

  // `hash` must be absent. False, and nothing changed, when its segment is full: only hashes chosen
  // by a liar can be that uneven.
  bool Insert(const BlockHash& hash, Place place);
  // Moves the entry of `hash` from one place to another. It must exist.
  void Update(const BlockHash& hash, Place from, Place to);
  // Removes the entry of `hash` at `place`. It must exist.
  void Erase(const BlockHash& hash, Place place);

  size_t size() const { return size_; }
  size_t bytes() const { return bytes_; }

 private:
  struct Segment {
    std::unique_ptr<uint64_t[]> slots;
    uint32_t capacity = 0;  // a power of two, or 0
    uint32_t live = 0;
    uint32_t tombstones = 0;
  };
  static constexpr uint64_t kEmpty = 0;
  static constexpr uint64_t kTombstone = ~uint64_t{0};
  static constexpr uint32_t kCapacityMin = 8;
  static constexpr uint32_t kCapacityMax = 65'536;

  // run + 1 in the high 32 bits, so that no entry is kEmpty; then offset, then tag.
  static uint64_t Pack(Place place, uint16_t tag) {
    return (uint64_t{place.run} + 1) << 32 | uint64_t{place.offset} << 16 | tag;
  }
  static Place PlaceOf(uint64_t slot) {
    return {static_cast<uint32_t>((slot >> 32) - 1), static_cast<uint16_t>(slot >> 16)};
  }
  static uint16_t TagOf(const BlockHash& hash) { return static_cast<uint16_t>(hash.low); }
  size_t SegmentOf(const BlockHash& hash) const { return (hash.high >> 16) & segment_mask_; }

  uint64_t& SlotOf(const BlockHash& hash, Place place);
  void Rebuild(Segment& segment, uint32_t capacity);

  const size_t segment_mask_;
  std::vector<Segment> segments_;
  size_t size_ = 0;
  size_t bytes_ = 0;
};

}  // namespace banyan::router
