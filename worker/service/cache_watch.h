// WatchCache: what the prefix cache holds, for one router: a snapshot in chunks (or, on resumption,
// nothing), then every event of the engine's log as one message, in order and without a gap, then
// heartbeats. A watcher whose next event has left the ring gets a fresh snapshot.
//
// Wire sequence numbers are the engine's event numbers, equal for all watchers, so a stream can be
// resumed on another connection.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "banyan/v1/worker_service.pb.h"
#include "worker/service/service_context.h"
#include "worker/service/watch_stream.h"

namespace banyan::worker {

inline constexpr size_t kCacheMessageBytesMax = 64u << 10;
inline constexpr Duration kCacheHeartbeatPeriod = std::chrono::seconds(1);

class CacheWatch final : public WatchStream<v1::WatchCacheResponse> {
 public:
  CacheWatch(ServiceContext& service, const v1::WatchCacheRequest& request);
  ~CacheWatch() override;

 protected:
  WatchStep Next(TimePoint now, v1::WatchCacheResponse& message) override;

 private:
  void TakeSnapshot();
  void FillSnapshotChunk(v1::WatchCacheResponse& message);
  // Reads further events when none wait; true when one waits.
  bool HaveEvent();
  void FillDelta(v1::WatchCacheResponse& message);
  bool FillHeartbeat(v1::WatchCacheResponse& message) const;

  ServiceContext& service_;
  uint64_t sequence_ = 0;  // of the last message

  // The snapshot being sent; done when no chain is left and the last chunk has gone.
  bool in_snapshot_ = false;
  std::vector<CacheEvent> chains_;
  size_t next_chain_ = 0;
  size_t next_hash_ = 0;  // within chains_[next_chain_]
  uint32_t next_chunk_ = 0;

  std::deque<CacheEvent> events_;  // sequence_ + 1 and on
  TimePoint last_heartbeat_;
};

}  // namespace banyan::worker
