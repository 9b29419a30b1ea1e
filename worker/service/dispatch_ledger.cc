#include "worker/service/dispatch_ledger.h"

#include <algorithm>

namespace banyan::worker {

void DispatchLedger::Record(uint64_t router_id, uint64_t dispatch_sequence, uint64_t visible_from) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[router_id];
  entry.last_use = ++use_;
  if (visible_from == 0) {
    entry.seen = std::max(entry.seen, dispatch_sequence);
  } else {
    entry.pending.push_back({dispatch_sequence, visible_from});
    if (entry.pending.size() > kPendingDispatchesMax) entry.pending.pop_front();
  }
  if (entries_.size() <= kRoutersMax) return;
  entries_.erase(std::min_element(
      entries_.begin(), entries_.end(),
      [](const auto& a, const auto& b) { return a.second.last_use < b.second.last_use; }));
}

uint64_t DispatchLedger::Seen(uint64_t router_id, uint64_t heartbeats) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(router_id);
  if (found == entries_.end()) return 0;
  Entry& entry = found->second;
  while (!entry.pending.empty() && entry.pending.front().visible_from <= heartbeats) {
    entry.seen = std::max(entry.seen, entry.pending.front().sequence);
    entry.pending.pop_front();
  }
  return entry.seen;
}

}  // namespace banyan::worker
