#include "router/routing/block_index.h"

#include <utility>

#include "common/base/check.h"

namespace banyan::router {
namespace {

// Slots that may be used, live or dead, before the segment is rebuilt.
constexpr uint32_t UsedMax(uint32_t capacity) { return capacity / 16 * 11 + capacity % 16 / 2; }

}  // namespace

BlockIndex::BlockIndex(int segment_bits)
    : segment_mask_((size_t{1} << segment_bits) - 1), segments_(size_t{1} << segment_bits) {
  BANYAN_CHECK(segment_bits >= 0 && segment_bits <= 16) << segment_bits;
  bytes_ = segments_.size() * sizeof(Segment);
}

bool BlockIndex::Insert(const BlockHash& hash, Place place) {
  Segment& segment = segments_[SegmentOf(hash)];
  if (segment.live + segment.tombstones + 1 > UsedMax(segment.capacity)) {
    uint32_t capacity = segment.capacity < kCapacityMin ? kCapacityMin : segment.capacity;
    while (segment.live + 1 > UsedMax(capacity) / 4 * 3 && capacity < kCapacityMax) capacity *= 2;
    if (segment.live + 1 > UsedMax(capacity)) return false;
    Rebuild(segment, capacity);
  }
  const uint32_t mask = segment.capacity - 1;
  const uint16_t tag = TagOf(hash);
  uint32_t at = tag & mask;
  while (segment.slots[at] != kEmpty && segment.slots[at] != kTombstone) at = (at + 1) & mask;
  if (segment.slots[at] == kTombstone) --segment.tombstones;
  segment.slots[at] = Pack(place, tag);
  ++segment.live;
  ++size_;
  return true;
}

void BlockIndex::Update(const BlockHash& hash, Place from, Place to) {
  SlotOf(hash, from) = Pack(to, TagOf(hash));
}

void BlockIndex::Erase(const BlockHash& hash, Place place) {
  SlotOf(hash, place) = kTombstone;
  Segment& segment = segments_[SegmentOf(hash)];
  --segment.live;
  ++segment.tombstones;
  --size_;
  if (segment.live == 0) {
    bytes_ -= segment.capacity * sizeof(uint64_t);
    segment = Segment{};
  } else if (segment.tombstones * 4 > segment.capacity) {
    uint32_t capacity = segment.capacity;
    while (capacity > kCapacityMin && segment.live * 8 < capacity) capacity /= 2;
    Rebuild(segment, capacity);
  }
}

uint64_t& BlockIndex::SlotOf(const BlockHash& hash, Place place) {
  Segment& segment = segments_[SegmentOf(hash)];
  BANYAN_CHECK_GT(segment.capacity, 0U) << "no entry for block " << hash.ToHex();
  const uint32_t mask = segment.capacity - 1;
  const uint64_t wanted = Pack(place, TagOf(hash));
  uint32_t at = TagOf(hash) & mask;
  while (segment.slots[at] != wanted) {
    BANYAN_CHECK(segment.slots[at] != kEmpty) << "no entry for block " << hash.ToHex();
    at = (at + 1) & mask;
  }
  return segment.slots[at];
}

void BlockIndex::Rebuild(Segment& segment, uint32_t capacity) {
  auto slots = std::make_unique<uint64_t[]>(capacity);
  const uint32_t mask = capacity - 1;
  for (uint32_t i = 0; i < segment.capacity; ++i) {
    const uint64_t slot = segment.slots[i];
    if (slot == kEmpty || slot == kTombstone) continue;
    uint32_t at = static_cast<uint16_t>(slot) & mask;
    while (slots[at] != kEmpty) at = (at + 1) & mask;
    slots[at] = slot;
  }
  bytes_ += capacity * sizeof(uint64_t);
  bytes_ -= segment.capacity * sizeof(uint64_t);
  segment.slots = std::move(slots);
  segment.capacity = capacity;
  segment.tombstones = 0;
}

}  // namespace banyan::router
