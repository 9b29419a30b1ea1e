// Which of its own dispatches each router may find in a load report: the highest dispatch_sequence
// that this worker has taken in, by router. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

namespace banyan::worker {

// Routers remembered; beyond it the one that was silent longest is forgotten (its reports then say
// 0, and it counts all its dispatches as not yet seen).
inline constexpr size_t kRoutersMax = 256;

class DispatchLedger {
 public:
  // Call once the engine has taken or refused the request: the next stats then contain it.
  void Record(uint64_t router_id, uint64_t dispatch_sequence);
  // 0: none. Read before the stats that are reported beside it.
  uint64_t Seen(uint64_t router_id) const;

 private:
  struct Entry {
    uint64_t seen = 0;
    uint64_t last_use = 0;
  };

  mutable std::mutex mutex_;
  uint64_t use_ = 0;
  std::map<uint64_t, Entry> entries_;
};

}  // namespace banyan::worker
