#include "worker/cache/cache_event_log.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace banyan::worker {
namespace {

size_t IndexOf(BlockId block) { return static_cast<size_t>(block); }

}  // namespace

CacheEventLog::CacheEventLog(int32_t num_blocks, size_t bytes_max)
    : bytes_max_(bytes_max), mirror_(static_cast<size_t>(num_blocks)) {}

void CacheEventLog::RecordStored(const StoredBlock& stored) {
  pending_.push_back({CacheEvent::Kind::kStored, stored});
}

void CacheEventLog::RecordRemoved(BlockId block, const BlockHash& hash) {
  pending_.push_back({CacheEvent::Kind::kRemoved, {block, hash, std::nullopt, {}}});
}

void CacheEventLog::RecordCleared() { pending_.push_back({CacheEvent::Kind::kCleared, {}}); }

void CacheEventLog::Publish() {
  if (pending_.empty()) return;
  std::vector<CacheEvent> events = Merge(pending_);
  std::deque<CacheEvent> dropped;  // freed without the lock
  {
    const std::lock_guard lock(mutex_);
    for (const Change& change : pending_) ApplyLocked(change);
    for (CacheEvent& event : events) {
      ring_bytes_ += SizeBytes(event);
      ring_.push_back(std::move(event));
      ++sequence_;
    }
    while (ring_bytes_ > bytes_max_) {
      ring_bytes_ -= SizeBytes(ring_.front());
      dropped.push_back(std::move(ring_.front()));
      ring_.pop_front();
    }
  }
  pending_.clear();
}

uint64_t CacheEventLog::Sequence() const {
  const std::lock_guard lock(mutex_);
  return sequence_;
}

bool CacheEventLog::Read(uint64_t next_sequence, size_t bytes_max,
                         std::vector<CacheEvent>& events) const {
  const std::lock_guard lock(mutex_);
  const uint64_t oldest = sequence_ + 1 - ring_.size();
  if (next_sequence < oldest || next_sequence == 0) return false;
  size_t bytes = 0;
  for (uint64_t sequence = next_sequence; sequence <= sequence_; ++sequence) {
    const CacheEvent& event = ring_[sequence - oldest];
    bytes += SizeBytes(event);
    if (bytes > bytes_max && sequence != next_sequence) break;
    events.push_back(event);
  }
  return true;
}

std::vector<CacheEvent> CacheEventLog::Snapshot(uint64_t& sequence) const {
  std::vector<Mirror> copy;
  copy.reserve(mirror_.size());  // its size never changes: the allocation needs no lock
  {
    const std::lock_guard lock(mutex_);
    copy.assign(mirror_.begin(), mirror_.end());
    sequence = sequence_;
  }
  return Chains(copy);
}

void CacheEventLog::Checksum(uint64_t& sequence, uint32_t& num_blocks, BlockHash& hash_xor) const {
  const std::lock_guard lock(mutex_);
  sequence = sequence_;
  num_blocks = num_present_;
  hash_xor = hash_xor_;
}

// Joins changes to runs: a stored block that is the child of the block before it continues the
// event, removed blocks follow each other.
std::vector<CacheEvent> CacheEventLog::Merge(const std::vector<Change>& changes) {
  std::vector<CacheEvent> events;
  for (const Change& change : changes) {
    const StoredBlock& block = change.block;
    CacheEvent* last = events.empty() ? nullptr : &events.back();
    const bool joins = last != nullptr && last->kind == change.kind &&
                       last->hashes.size() < kEventHashesMax &&
                       (change.kind == CacheEvent::Kind::kRemoved ||
                        (change.kind == CacheEvent::Kind::kStored && block.parent.has_value() &&
                         last->hashes.back() == block.parent_hash));
    if (!joins) {
      CacheEvent& event = events.emplace_back();
      event.kind = change.kind;
      if (change.kind == CacheEvent::Kind::kStored) {
        event.parent = block.parent_hash;
        event.starts_sequence = !block.parent.has_value();
      }
    }
    if (change.kind != CacheEvent::Kind::kCleared) events.back().hashes.push_back(block.hash);
  }
  return events;
}

// Walks the forest of the mirror depth first and cuts it into chains.
std::vector<CacheEvent> CacheEventLog::Chains(const std::vector<Mirror>& mirror) {
  std::vector<std::vector<size_t>> children(mirror.size());
  std::vector<size_t> open;  // blocks that begin a chain
  for (size_t i = mirror.size(); i-- > 0;) {
    if (!mirror[i].present) continue;
    if (mirror[i].parent.has_value()) {
      children[IndexOf(*mirror[i].parent)].push_back(i);
    } else {
      open.push_back(i);
    }
  }
  std::vector<CacheEvent> events;
  while (!open.empty()) {
    size_t block = open.back();
    open.pop_back();
    CacheEvent& event = events.emplace_back();
    event.parent = mirror[block].parent_hash;
    event.starts_sequence = !mirror[block].parent.has_value();
    event.hashes.push_back(mirror[block].hash);
    while (!children[block].empty()) {
      const std::vector<size_t>& next = children[block];
      open.insert(open.end(), next.begin() + 1, next.end());
      if (event.hashes.size() == kEventHashesMax) {
        open.push_back(next.front());
        break;
      }
      block = next.front();
      event.hashes.push_back(mirror[block].hash);
    }
  }
  return events;
}

size_t CacheEventLog::SizeBytes(const CacheEvent& event) {
  return sizeof(CacheEvent) + event.hashes.size() * sizeof(BlockHash);
}

void CacheEventLog::ApplyLocked(const Change& change) {
  if (change.kind == CacheEvent::Kind::kCleared) {
    for (Mirror& entry : mirror_) entry = Mirror{};
    num_present_ = 0;
    hash_xor_ = {};
    return;
  }
  Mirror& entry = mirror_[IndexOf(change.block.block)];
  hash_xor_ = hash_xor_ ^ change.block.hash;
  if (change.kind == CacheEvent::Kind::kStored) {
    BANYAN_CHECK(!entry.present);
    entry = {change.block.hash, change.block.parent_hash, change.block.parent, true};
    ++num_present_;
  } else {
    BANYAN_CHECK(entry.present && entry.hash == change.block.hash);
    entry = Mirror{};
    --num_present_;
  }
}

}  // namespace banyan::worker
