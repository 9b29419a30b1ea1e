// Prefixes that a worker is about to hold: what was just dispatched there and has not come back as
// a cache event yet. Without them a burst that shares a prompt would scatter over the pool.
//
// Each entry is one holder of a small prefix tree, so that entries with a common prefix end
// independently. An entry ends when it expires, when its worker reports one of its blocks removed,
// when its stream fails, or when the worker's cache events have passed the stream's first token.
// Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "common/base/block_hash.h"
#include "common/base/clock.h"
#include "router/routing/prefix_tree.h"

namespace banyan::router {

class OptimisticEntries {
 public:
  struct Options {
    HolderId entries_max = 4096;
    size_t bytes_max = size_t{64} << 20;
    Duration lifetime = std::chrono::seconds(30);
    Duration lifetime_after_end = std::chrono::seconds(2);
    // A worker's events are at most 20 ms late; what arrives this long after a first token was sent
    // after the blocks behind it were announced.
    Duration event_delay_max = std::chrono::milliseconds(50);
  };
  // Names an entry for as long as it lives; kNoTicket where none was made.
  using Ticket = uint64_t;
  static constexpr Ticket kNoTicket = 0;

  explicit OptimisticEntries(const Options& options);

  // `worker` will hold `blocks` (from the start of the prompt). When full, the entry that expires
  // first makes room.
  Ticket Add(uint32_t worker, std::span<const BlockHash> blocks, TimePoint now);
  // The stream's first token came.
  void OnFirstToken(Ticket ticket, TimePoint now);
  // The stream ended well: the entry lives on for `lifetime_after_end`.
  void OnStreamEnd(Ticket ticket, TimePoint now);
  // The stream failed: what it would have cached is not there.
  void OnStreamFailure(Ticket ticket);
  // A cache event of the worker was applied.
  void OnCacheEvent(uint32_t worker, TimePoint now);
  void OnRemoved(uint32_t worker, std::span<const BlockHash> blocks);
  void OnWorkerLost(uint32_t worker);

  // Raises depth[w] to the number of `blocks` that the entries of worker w cover.
  void Match(std::span<const BlockHash> blocks, TimePoint now, std::vector<uint32_t>& depth);

  size_t size() const;

 private:
  struct Entry {
    Ticket ticket = kNoTicket;  // none: the slot is free
    uint32_t worker = 0;
    TimePoint expires = {};
    TimePoint settled = TimePoint::max();  // a cache event after it ends the entry
  };

  Entry* Find(Ticket ticket);
  void End(HolderId slot);
  void Expire(TimePoint now);
  HolderId FirstToExpire() const;

  const Options options_;
  mutable std::mutex mutex_;
  PrefixTree tree_;
  std::vector<Entry> entries_;  // by holder
  size_t num_entries_ = 0;
  uint64_t next_serial_ = 1;
  TimePoint next_expiry_ = TimePoint::max();  // no entry expires before
  std::vector<uint32_t> depth_scratch_;
};

}  // namespace banyan::router
