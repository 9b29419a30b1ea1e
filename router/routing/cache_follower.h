// Follows one worker's cache events and keeps its holder in the prefix tree equal to its cache.
//
// The stream (WatchCache) is a snapshot, then deltas numbered one by one, then heartbeats that
// carry a count and an XOR of all hashes. Whatever does not fit (a gap, another epoch, malformed
// bytes, a cross-check that fails) voids everything known of the worker and asks for a snapshot.
// What was seen already is ignored, so duplicates do no harm.
//
// Property: after any loss, duplication or reconnect, followed by a heartbeat and what it asks for,
// the holder's blocks are the worker's cache.
//
// One thread at a time; the tree behind it is shared, which is the CacheStore's business.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/block_hash.h"
#include "router/routing/prefix_tree.h"

namespace banyan::router {

// Views into a message of the wire, still to be validated.
struct ChainView {
  std::string_view parent_hash;  // empty or 16 bytes
  std::string_view hashes;       // 16 bytes a block
};
struct SnapshotView {
  uint32_t index = 0;
  bool last = false;
  std::vector<ChainView> chains;
};
struct RemovedView {
  std::string_view hashes;
};
struct ClearedView {};
struct DeltaView {
  // monostate: the kind was not set, or not known.
  std::vector<std::variant<std::monostate, ChainView, RemovedView, ClearedView>> changes;
};
struct HeartbeatView {
  uint64_t num_blocks = 0;
  std::string_view hash_xor;
};
struct CacheEventView {
  uint64_t epoch = 0;
  uint64_t sequence = 0;
  // monostate: the kind was not set, or not known.
  std::variant<std::monostate, SnapshotView, DeltaView, HeartbeatView> kind;
};

// Why a stream was begun anew; the label of a metric.
enum class ResyncCause { kGap, kEpoch, kMalformed, kCount, kReconnect };
inline constexpr int kNumResyncCauses = 5;
std::string_view NameOf(ResyncCause cause);

// The tree as one worker's follower sees it.
class CacheStore {
 public:
  virtual ~CacheStore() = default;
  // Forgets everything known of the worker and begins a new holder.
  virtual void Reset() = 0;
  virtual PrefixTree::Change Store(const std::optional<BlockHash>& parent,
                                   std::span<const BlockHash> hashes) = 0;
  // kUnknownParent in the answer: it did not have one of them.
  virtual PrefixTree::Change Remove(std::span<const BlockHash> hashes) = 0;
  virtual uint64_t num_blocks() const = 0;
  virtual BlockHash hash_xor() const = 0;
  // Whether the tree's own bound took blocks: its content then says less than the worker holds.
  virtual bool truncated() const = 0;
  // Whether the blocks known may count in routing yet: not inside a snapshot.
  virtual void SetUsable(bool usable) = 0;
};

class CacheFollower {
 public:
  struct Position {
    uint64_t epoch = 0;  // 0: a snapshot is wanted
    uint64_t next_sequence = 0;
  };

  // `num_kv_blocks_max`: a worker cannot hold more. `store` must outlive this.
  CacheFollower(uint64_t num_kv_blocks_max, CacheStore& store);

  // What to ask for when a stream is opened now. Call it for every stream that is opened.
  Position BeginStream();
  // Applies one message. A cause means: the worker's blocks were dropped, end this stream and open
  // another one (which asks for a snapshot).
  std::optional<ResyncCause> Apply(const CacheEventView& event);

  bool in_sync() const { return state_ == State::kFollowing; }

 private:
  enum class State { kWantSnapshot, kInSnapshot, kFollowing };

  std::optional<ResyncCause> ApplySnapshot(const CacheEventView& event, const SnapshotView& chunk);
  std::optional<ResyncCause> ApplyDelta(const CacheEventView& event, const DeltaView& delta);
  std::optional<ResyncCause> ApplyHeartbeat(const CacheEventView& event,
                                            const HeartbeatView& heartbeat);
  bool StoreChain(const ChainView& chain);
  bool RemoveBlocks(std::string_view hashes);
  void Reset();
  ResyncCause Fail(ResyncCause cause);

  const uint64_t num_kv_blocks_max_;
  CacheStore& store_;
  State state_ = State::kWantSnapshot;
  uint64_t epoch_ = 0;
  uint64_t sequence_ = 0;  // the last one applied
  uint32_t next_chunk_ = 0;
};

}  // namespace banyan::router
