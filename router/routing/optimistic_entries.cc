#include "router/routing/optimistic_entries.h"

#include <algorithm>

namespace banyan::router {
namespace {

constexpr int kSlotBits = 16;
constexpr size_t kAllRuns = ~size_t{0};

}  // namespace

OptimisticEntries::OptimisticEntries(const Options& options)
    : options_(options),
      tree_({.bytes_max = options.bytes_max,
             .index_segment_bits = 8,
             .holders_max = options.entries_max}) {}

OptimisticEntries::Ticket OptimisticEntries::Add(uint32_t worker, std::span<const BlockHash> blocks,
                                                 TimePoint now) {
  if (blocks.empty()) return kNoTicket;
  const std::lock_guard lock(mutex_);
  Expire(now);
  if (num_entries_ == options_.entries_max) End(FirstToExpire());
  const std::optional<HolderId> slot = tree_.AddHolder();
  if (!slot.has_value()) return kNoTicket;
  tree_.Store(*slot, std::nullopt, blocks, 0);
  if (entries_.size() <= *slot) entries_.resize(size_t{*slot} + 1);
  const Ticket ticket = next_serial_++ << kSlotBits | *slot;
  entries_[*slot] = {.ticket = ticket, .worker = worker, .expires = now + options_.lifetime};
  ++num_entries_;
  next_expiry_ = std::min(next_expiry_, entries_[*slot].expires);
  return ticket;
}

void OptimisticEntries::OnFirstToken(Ticket ticket, TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (Entry* entry = Find(ticket); entry != nullptr) {
    entry->settled = now + options_.event_delay_max;
  }
}

void OptimisticEntries::OnStreamEnd(Ticket ticket, TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (Entry* entry = Find(ticket); entry != nullptr) {
    entry->expires = std::min(entry->expires, now + options_.lifetime_after_end);
    next_expiry_ = std::min(next_expiry_, entry->expires);
  }
}

void OptimisticEntries::OnStreamFailure(Ticket ticket) {
  const std::lock_guard lock(mutex_);
  if (const Entry* entry = Find(ticket); entry != nullptr) {
    End(static_cast<HolderId>(entry - entries_.data()));
  }
}

void OptimisticEntries::OnCacheEvent(uint32_t worker, TimePoint now) {
  const std::lock_guard lock(mutex_);
  for (size_t slot = 0; slot < entries_.size(); ++slot) {
    const Entry& entry = entries_[slot];
    if (entry.ticket != kNoTicket && entry.worker == worker && entry.settled <= now) {
      End(static_cast<HolderId>(slot));
    }
  }
}

void OptimisticEntries::OnRemoved(uint32_t worker, std::span<const BlockHash> blocks) {
  const std::lock_guard lock(mutex_);
  for (size_t slot = 0; num_entries_ > 0 && slot < entries_.size(); ++slot) {
    const Entry& entry = entries_[slot];
    if (entry.ticket == kNoTicket || entry.worker != worker) continue;
    for (const BlockHash& block : blocks) {
      if (tree_.Remove(static_cast<HolderId>(slot), block).num_blocks == 0) continue;
      End(static_cast<HolderId>(slot));
      break;
    }
  }
}

void OptimisticEntries::OnWorkerLost(uint32_t worker) {
  const std::lock_guard lock(mutex_);
  for (size_t slot = 0; slot < entries_.size(); ++slot) {
    if (entries_[slot].ticket != kNoTicket && entries_[slot].worker == worker) {
      End(static_cast<HolderId>(slot));
    }
  }
}

void OptimisticEntries::Match(std::span<const BlockHash> blocks, TimePoint now,
                              std::vector<uint32_t>& depth) {
  const std::lock_guard lock(mutex_);
  Expire(now);
  if (num_entries_ == 0) return;
  tree_.Match(blocks, 0, depth_scratch_);
  for (size_t slot = 0; slot < depth_scratch_.size(); ++slot) {
    const uint32_t worker = entries_[slot].worker;
    if (depth_scratch_[slot] > 0 && worker < depth.size()) {
      depth[worker] = std::max(depth[worker], depth_scratch_[slot]);
    }
  }
}

size_t OptimisticEntries::size() const {
  const std::lock_guard lock(mutex_);
  return num_entries_;
}

OptimisticEntries::Entry* OptimisticEntries::Find(Ticket ticket) {
  if (ticket == kNoTicket) return nullptr;
  const size_t slot = ticket & ((1u << kSlotBits) - 1);
  return slot < entries_.size() && entries_[slot].ticket == ticket ? &entries_[slot] : nullptr;
}

void OptimisticEntries::End(HolderId slot) {
  entries_[slot] = Entry{};
  --num_entries_;
  tree_.Retire(slot);
  tree_.Reclaim(kAllRuns);
}

void OptimisticEntries::Expire(TimePoint now) {
  if (now < next_expiry_) return;
  next_expiry_ = TimePoint::max();
  for (size_t slot = 0; slot < entries_.size(); ++slot) {
    if (entries_[slot].ticket == kNoTicket) continue;
    if (entries_[slot].expires <= now) {
      End(static_cast<HolderId>(slot));
    } else {
      next_expiry_ = std::min(next_expiry_, entries_[slot].expires);
    }
  }
}

HolderId OptimisticEntries::FirstToExpire() const {
  size_t first = 0;
  for (size_t slot = 1; slot < entries_.size(); ++slot) {
    if (entries_[slot].ticket != kNoTicket && entries_[slot].expires < entries_[first].expires) {
      first = slot;
    }
  }
  return static_cast<HolderId>(first);
}

}  // namespace banyan::router
