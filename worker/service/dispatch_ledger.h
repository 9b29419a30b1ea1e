// Which of its own dispatches each router may find in a load report: the highest dispatch_sequence
// that the engine's stats contain, by router. A request is in the stats some turns after Submit, so
// each dispatch carries the turn (heartbeat) from which on it shows. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>

namespace banyan::worker {

// Routers remembered; beyond it the one that was silent longest is forgotten (its reports then say
// 0, and it counts all its dispatches as not yet seen).
inline constexpr size_t kRoutersMax = 256;
// Dispatches of a router that no one has asked about; the oldest are forgotten (a later one stands
// for them).
inline constexpr size_t kPendingDispatchesMax = 4'096;

class DispatchLedger {
 public:
  // Stats of turn `visible_from` and later contain the dispatch; 0: all do.
  void Record(uint64_t router_id, uint64_t dispatch_sequence, uint64_t visible_from);
  // Highest dispatch that stats with these heartbeats contain; 0: none. Heartbeats never fall.
  uint64_t Seen(uint64_t router_id, uint64_t heartbeats);

 private:
  struct Pending {
    uint64_t sequence = 0;
    uint64_t visible_from = 0;
  };
  struct Entry {
    uint64_t seen = 0;
    uint64_t last_use = 0;
    std::deque<Pending> pending;  // not yet asked about, oldest first
  };

  std::mutex mutex_;
  uint64_t use_ = 0;
  std::map<uint64_t, Entry> entries_;
};

}  // namespace banyan::worker
