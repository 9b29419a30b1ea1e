#include "worker/service/cache_watch.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

namespace banyan::worker {
namespace {

constexpr size_t kHashBytes = 16;
// Room for the fields around the hashes.
constexpr size_t kHashesPerMessage = (kCacheMessageBytesMax - 256) / kHashBytes;
// Tags, lengths and parent of one chain, in hashes.
constexpr size_t kChainOverheadHashes = 2;

std::string Concatenate(std::span<const BlockHash> hashes) {
  std::string bytes;
  bytes.reserve(hashes.size() * kHashBytes);
  for (const BlockHash& hash : hashes) bytes += hash.ToBytes();
  return bytes;
}

}  // namespace

CacheWatch::CacheWatch(ServiceContext& service, const v1::WatchCacheRequest& request)
    : WatchStream(service.hub, service.clock),
      service_(service),
      last_heartbeat_(service.clock.Now()) {
  service_.metrics.AddCacheWatcher(1);
  const uint64_t next = request.next_sequence();
  std::vector<CacheEvent> events;
  const bool known = request.epoch() == service.identity.epoch && next > 0 &&
                     next <= service.engine.CacheSequence() + 1;
  // From the newest on there is nothing to read, and nothing can have left the ring.
  if (known && (next == service.engine.CacheSequence() + 1 ||
                service.engine.ReadCacheEvents(next, kCacheMessageBytesMax, events))) {
    sequence_ = next - 1;
    events_.assign(std::make_move_iterator(events.begin()), std::make_move_iterator(events.end()));
  } else {
    TakeSnapshot();
  }
}

CacheWatch::~CacheWatch() {
  --service_.cache_watchers;
  service_.metrics.AddCacheWatcher(-1);
}

void CacheWatch::TakeSnapshot() {
  events_.clear();
  chains_ = service_.engine.CacheSnapshot(sequence_);
  next_chain_ = 0;
  next_hash_ = 0;
  next_chunk_ = 0;
  in_snapshot_ = true;
}

WatchStep CacheWatch::Next(TimePoint now, v1::WatchCacheResponse& message) {
  const WatchStep write = {.action = WatchStep::Action::kWrite};
  message.set_epoch(service_.identity.epoch);
  if (in_snapshot_) {
    FillSnapshotChunk(message);
    return write;
  }
  if (HaveEvent()) {
    FillDelta(message);
    return write;
  }
  // HaveEvent may have found that the watcher fell out of the ring.
  if (in_snapshot_) {
    FillSnapshotChunk(message);
    return write;
  }
  if (now - last_heartbeat_ >= kCacheHeartbeatPeriod && FillHeartbeat(message)) {
    last_heartbeat_ = now;
    return write;
  }
  return {};
}

void CacheWatch::FillSnapshotChunk(v1::WatchCacheResponse& message) {
  message.set_sequence(sequence_);
  v1::CacheSnapshotChunk& chunk = *message.mutable_snapshot();
  chunk.set_index(next_chunk_++);
  size_t room = kHashesPerMessage;
  int64_t num_blocks = 0;
  while (next_chain_ < chains_.size() && room > kChainOverheadHashes) {
    const CacheEvent& chain = chains_[next_chain_];
    room -= kChainOverheadHashes;
    const size_t count = std::min(room, chain.hashes.size() - next_hash_);
    v1::BlockChain& wire = *chunk.add_chains();
    if (next_hash_ > 0) {
      wire.set_parent_hash(chain.hashes[next_hash_ - 1].ToBytes());
    } else if (!chain.starts_sequence) {
      wire.set_parent_hash(chain.parent.ToBytes());
    }
    wire.set_hashes(Concatenate(std::span(chain.hashes).subspan(next_hash_, count)));
    room -= count;
    num_blocks += static_cast<int64_t>(count);
    next_hash_ += count;
    if (next_hash_ == chain.hashes.size()) {
      ++next_chain_;
      next_hash_ = 0;
    }
  }
  service_.metrics.CountCacheEvents(CacheEventKind::kSnapshot, num_blocks);
  if (next_chain_ < chains_.size()) return;
  chunk.set_last(true);
  in_snapshot_ = false;
  chains_ = {};
}

bool CacheWatch::HaveEvent() {
  if (!events_.empty()) return true;
  if (service_.engine.CacheSequence() <= sequence_) return false;
  std::vector<CacheEvent> events;
  if (!service_.engine.ReadCacheEvents(sequence_ + 1, kCacheMessageBytesMax, events)) {
    TakeSnapshot();
    return false;
  }
  events_.assign(std::make_move_iterator(events.begin()), std::make_move_iterator(events.end()));
  return !events_.empty();
}

void CacheWatch::FillDelta(v1::WatchCacheResponse& message) {
  const CacheEvent event = std::move(events_.front());
  events_.pop_front();
  message.set_sequence(++sequence_);
  v1::CacheChange& change = *message.mutable_delta()->add_changes();
  const auto num_blocks = static_cast<int64_t>(event.hashes.size());
  switch (event.kind) {
    case CacheEvent::Kind::kStored:
      if (!event.starts_sequence) {
        change.mutable_stored()->set_parent_hash(event.parent.ToBytes());
      }
      change.mutable_stored()->set_hashes(Concatenate(event.hashes));
      service_.metrics.CountCacheEvents(CacheEventKind::kStored, num_blocks);
      break;
    case CacheEvent::Kind::kRemoved:
      change.set_removed_hashes(Concatenate(event.hashes));
      service_.metrics.CountCacheEvents(CacheEventKind::kRemoved, num_blocks);
      break;
    case CacheEvent::Kind::kCleared:
      change.set_cleared(true);
      service_.metrics.CountCacheEvents(CacheEventKind::kCleared, num_blocks);
      break;
  }
}

bool CacheWatch::FillHeartbeat(v1::WatchCacheResponse& message) const {
  uint64_t sequence = 0;
  uint32_t num_blocks = 0;
  BlockHash hash_xor;
  service_.engine.CacheChecksum(sequence, num_blocks, hash_xor);
  // The receiver is not there yet: the events come first.
  if (sequence != sequence_) return false;
  message.set_sequence(sequence);
  message.mutable_heartbeat()->set_num_blocks(num_blocks);
  message.mutable_heartbeat()->set_hash_xor(hash_xor.ToBytes());
  return true;
}

}  // namespace banyan::worker
