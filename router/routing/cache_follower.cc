#include "router/routing/cache_follower.h"

#include <algorithm>

namespace banyan::router {
namespace {

constexpr size_t kHashBytes = 16;
// Blocks that are applied under one lock of the tree.
constexpr size_t kSliceBlocks = 256;

// The next hashes of `bytes` from `at`, which moves on.
std::vector<BlockHash> NextSlice(std::string_view bytes, size_t& at) {
  std::vector<BlockHash> slice;
  slice.reserve(std::min(kSliceBlocks, (bytes.size() - at) / kHashBytes));
  for (; at < bytes.size() && slice.size() < kSliceBlocks; at += kHashBytes) {
    slice.push_back(BlockHash::FromBytes(bytes.substr(at, kHashBytes)));
  }
  return slice;
}

}  // namespace

std::string_view NameOf(ResyncCause cause) {
  switch (cause) {
    case ResyncCause::kGap:
      return "gap";
    case ResyncCause::kEpoch:
      return "epoch";
    case ResyncCause::kMalformed:
      return "malformed";
    case ResyncCause::kCount:
      return "count";
    case ResyncCause::kReconnect:
      return "reconnect";
  }
  return "";
}

CacheFollower::CacheFollower(uint64_t num_kv_blocks_max, CacheStore& store)
    : num_kv_blocks_max_(num_kv_blocks_max), store_(store) {}

CacheFollower::Position CacheFollower::BeginStream() {
  // A snapshot that was cut off cannot be continued.
  if (state_ != State::kFollowing) {
    state_ = State::kWantSnapshot;
    return {};
  }
  return {epoch_, sequence_ + 1};
}

std::optional<ResyncCause> CacheFollower::Apply(const CacheEventView& event) {
  if (const auto* chunk = std::get_if<SnapshotView>(&event.kind))
    return ApplySnapshot(event, *chunk);
  // A stream that was to begin with a snapshot lost its head.
  if (state_ == State::kWantSnapshot) return Fail(ResyncCause::kGap);
  if (event.epoch != epoch_) return Fail(ResyncCause::kEpoch);
  if (const auto* delta = std::get_if<DeltaView>(&event.kind)) return ApplyDelta(event, *delta);
  if (const auto* beat = std::get_if<HeartbeatView>(&event.kind)) {
    return ApplyHeartbeat(event, *beat);
  }
  return Fail(ResyncCause::kMalformed);
}

std::optional<ResyncCause> CacheFollower::ApplySnapshot(const CacheEventView& event,
                                                        const SnapshotView& chunk) {
  if (chunk.index == 0 &&
      (state_ != State::kInSnapshot || event.epoch != epoch_ || event.sequence != sequence_)) {
    // An old snapshot, seen again, must not take us back.
    if (state_ == State::kFollowing && event.epoch == epoch_ && event.sequence <= sequence_) {
      return std::nullopt;
    }
    Reset();
    state_ = State::kInSnapshot;
    epoch_ = event.epoch;
    sequence_ = event.sequence;
    next_chunk_ = 0;
  }
  if (state_ == State::kWantSnapshot) return Fail(ResyncCause::kGap);
  if (state_ == State::kFollowing) return std::nullopt;
  if (event.epoch != epoch_) return Fail(ResyncCause::kEpoch);
  if (chunk.index < next_chunk_) return std::nullopt;
  if (chunk.index > next_chunk_ || event.sequence != sequence_) return Fail(ResyncCause::kGap);
  ++next_chunk_;
  for (const ChainView& chain : chunk.chains) {
    if (!StoreChain(chain)) return Fail(ResyncCause::kMalformed);
  }
  if (chunk.last) {
    state_ = State::kFollowing;
    store_.SetUsable(true);
  }
  return std::nullopt;
}

std::optional<ResyncCause> CacheFollower::ApplyDelta(const CacheEventView& event,
                                                     const DeltaView& delta) {
  if (event.sequence <= sequence_) return std::nullopt;
  if (state_ == State::kInSnapshot || event.sequence != sequence_ + 1) {
    return Fail(ResyncCause::kGap);
  }
  sequence_ = event.sequence;
  for (const auto& change : delta.changes) {
    bool valid = true;
    if (const auto* chain = std::get_if<ChainView>(&change)) {
      valid = StoreChain(*chain);
    } else if (const auto* removed = std::get_if<RemovedView>(&change)) {
      valid = RemoveBlocks(removed->hashes);
    } else if (std::holds_alternative<ClearedView>(change)) {
      Reset();
      store_.SetUsable(true);
    } else {
      valid = false;
    }
    if (!valid) return Fail(ResyncCause::kMalformed);
  }
  return std::nullopt;
}

std::optional<ResyncCause> CacheFollower::ApplyHeartbeat(const CacheEventView& event,
                                                         const HeartbeatView& heartbeat) {
  if (event.sequence < sequence_) return std::nullopt;
  // Inside a snapshot it means that the last chunk was lost.
  if (state_ == State::kInSnapshot || event.sequence > sequence_) return Fail(ResyncCause::kGap);
  if (heartbeat.hash_xor.size() != kHashBytes) return Fail(ResyncCause::kMalformed);
  if (store_.truncated()) return std::nullopt;
  if (heartbeat.num_blocks != store_.num_blocks() ||
      BlockHash::FromBytes(heartbeat.hash_xor) != store_.hash_xor()) {
    return Fail(ResyncCause::kCount);
  }
  return std::nullopt;
}

bool CacheFollower::StoreChain(const ChainView& chain) {
  if (chain.hashes.empty() || chain.hashes.size() % kHashBytes != 0) return false;
  if (!chain.parent_hash.empty() && chain.parent_hash.size() != kHashBytes) return false;
  if (chain.hashes.size() / kHashBytes > num_kv_blocks_max_) return false;
  std::optional<BlockHash> parent;
  if (!chain.parent_hash.empty()) parent = BlockHash::FromBytes(chain.parent_hash);
  for (size_t at = 0; at < chain.hashes.size();) {
    const std::vector<BlockHash> slice = NextSlice(chain.hashes, at);
    const PrefixTree::Change change = store_.Store(parent, slice);
    if (change.error == PrefixTree::StoreError::kUnknownParent && store_.truncated()) return true;
    if (change.error != PrefixTree::StoreError::kNone) return false;
    if (store_.num_blocks() > num_kv_blocks_max_) return false;
    parent = slice.back();
  }
  return true;
}

bool CacheFollower::RemoveBlocks(std::string_view hashes) {
  if (hashes.empty() || hashes.size() % kHashBytes != 0) return false;
  for (size_t at = 0; at < hashes.size();) {
    const std::vector<BlockHash> slice = NextSlice(hashes, at);
    const PrefixTree::Change change = store_.Remove(slice);
    if (change.error != PrefixTree::StoreError::kNone && !store_.truncated()) return false;
  }
  return true;
}

void CacheFollower::Reset() {
  store_.SetUsable(false);
  store_.Reset();
}

ResyncCause CacheFollower::Fail(ResyncCause cause) {
  Reset();
  state_ = State::kWantSnapshot;
  epoch_ = 0;
  return cause;
}

}  // namespace banyan::router
