#include "worker/service/dispatch_ledger.h"

#include <algorithm>

namespace banyan::worker {

void DispatchLedger::Record(uint64_t router_id, uint64_t dispatch_sequence) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[router_id];
  entry.seen = std::max(entry.seen, dispatch_sequence);
  entry.last_use = ++use_;
  if (entries_.size() <= kRoutersMax) return;
  entries_.erase(std::min_element(
      entries_.begin(), entries_.end(),
      [](const auto& a, const auto& b) { return a.second.last_use < b.second.last_use; }));
}

uint64_t DispatchLedger::Seen(uint64_t router_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(router_id);
  return found == entries_.end() ? 0 : found->second.seen;
}

}  // namespace banyan::worker
