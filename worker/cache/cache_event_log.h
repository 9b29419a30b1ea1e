// The log of what happened to the prefix cache: a ring of the newest events under sequence numbers
// from 1, and a mirror of what the cache holds, for snapshots.
//
// The engine thread records changes without a lock and publishes them once per step; any thread
// reads. Readers hold the lock for a copy of at most `bytes_max` of events or of the mirror (48
// bytes a block) and do the rest without it, so the engine never waits long.
//
// Invariants at every sequence number: replaying all events up to it gives the mirror; a stored
// block's parent was stored before it and outlives it; the ring holds at most `bytes_max`.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "common/base/block_hash.h"
#include "common/base/token.h"
#include "worker/cache/cache_event.h"

namespace banyan::worker {

// A block that became findable. Without `parent` it starts a sequence and `parent_hash` is a salt.
struct StoredBlock {
  BlockId block{};
  BlockHash hash;
  std::optional<BlockId> parent;
  BlockHash parent_hash;
};

class CacheEventLog {
 public:
  // Most hashes of one event: 16 KiB, so that any event fits into a message.
  static constexpr size_t kEventHashesMax = 1024;

  CacheEventLog(int32_t num_blocks, size_t bytes_max);

  // --- Engine thread. Readers see nothing of these before Publish(). ---
  void RecordStored(const StoredBlock& stored);
  void RecordRemoved(BlockId block, const BlockHash& hash);
  void RecordCleared();
  void Publish();

  // --- Any thread. ---
  // Sequence of the newest event; 0 when there was none.
  uint64_t Sequence() const;
  // Appends events [next_sequence, newest] up to about `bytes_max`, at least one where there is
  // one. False when next_sequence is not in the ring any more (or is 0).
  bool Read(uint64_t next_sequence, size_t bytes_max, std::vector<CacheEvent>& events) const;
  // What the cache holds as stored events, parents before children, and the sequence it stands at.
  std::vector<CacheEvent> Snapshot(uint64_t& sequence) const;
  // Number and XOR of the hashes held at `sequence`.
  void Checksum(uint64_t& sequence, uint32_t& num_blocks, BlockHash& hash_xor) const;

 private:
  struct Change {
    CacheEvent::Kind kind;
    StoredBlock block;
  };
  // A block as watchers know it.
  struct Mirror {
    BlockHash hash;
    BlockHash parent_hash;
    std::optional<BlockId> parent;
    bool present = false;
  };

  static std::vector<CacheEvent> Merge(const std::vector<Change>& changes);
  static std::vector<CacheEvent> Chains(const std::vector<Mirror>& mirror);
  static size_t SizeBytes(const CacheEvent& event);
  void ApplyLocked(const Change& change);

  const size_t bytes_max_;
  std::vector<Change> pending_;  // engine thread only

  mutable std::mutex mutex_;  // guards all below
  std::deque<CacheEvent> ring_;
  size_t ring_bytes_ = 0;
  uint64_t sequence_ = 0;  // of ring_.back()
  std::vector<Mirror> mirror_;
  uint32_t num_present_ = 0;
  BlockHash hash_xor_;
};

}  // namespace banyan::worker
