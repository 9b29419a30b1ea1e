#include "router/routing/routing_pool.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace banyan::router {
namespace {

constexpr size_t kReclaimSliceRuns = 64;
constexpr double kOutputAverageWeight = 0.02;

// The unit of last use in the tree: milliseconds, which wrap after 49 days and then only make
// eviction choose worse for a while.
uint32_t TickOf(TimePoint now) {
  return static_cast<uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
}

}  // namespace

// One worker's window on the pool's tree. A retired worker's calls fall on nothing.
class PoolCacheStore final : public CacheStore {
 public:
  PoolCacheStore(RoutingPool& pool, WorkerHandle worker, const Clock& clock)
      : pool_(pool), worker_(worker), clock_(clock) {}

  void Reset() override {
    {
      const std::unique_lock lock(pool_.tree_mutex_);
      RoutingPool::Holding* holding = Find();
      if (holding == nullptr) return;
      if (holding->holder.has_value()) pool_.tree_.Retire(*holding->holder);
      holding->holder = pool_.tree_.AddHolder();
    }
    pool_.ReclaimAll();
  }

  PrefixTree::Change Store(const std::optional<BlockHash>& parent,
                           std::span<const BlockHash> hashes) override {
    PrefixTree::Change change;
    const TimePoint now = clock_.Now();
    {
      const std::unique_lock lock(pool_.tree_mutex_);
      const RoutingPool::Holding* holding = Find();
      if (holding == nullptr || !holding->holder.has_value()) return change;
      change = pool_.tree_.Store(*holding->holder, parent, hashes, TickOf(now));
    }
    pool_.optimistic_.OnCacheEvent(worker_.slot, now);
    return change;
  }

  PrefixTree::Change Remove(std::span<const BlockHash> hashes) override {
    PrefixTree::Change change;
    {
      const std::unique_lock lock(pool_.tree_mutex_);
      const RoutingPool::Holding* holding = Find();
      if (holding == nullptr || !holding->holder.has_value()) return change;
      for (const BlockHash& hash : hashes) {
        const PrefixTree::Change one = pool_.tree_.Remove(*holding->holder, hash);
        if (one.num_blocks == 0) change.error = PrefixTree::StoreError::kUnknownParent;
        change.num_blocks += one.num_blocks;
        change.hash_xor = change.hash_xor ^ one.hash_xor;
      }
    }
    pool_.optimistic_.OnRemoved(worker_.slot, hashes);
    return change;
  }

  uint64_t num_blocks() const override {
    const std::shared_lock lock(pool_.tree_mutex_);
    const RoutingPool::Holding* holding = Find();
    return holding != nullptr && holding->holder ? pool_.tree_.num_blocks(*holding->holder) : 0;
  }

  BlockHash hash_xor() const override {
    const std::shared_lock lock(pool_.tree_mutex_);
    const RoutingPool::Holding* holding = Find();
    return holding != nullptr && holding->holder ? pool_.tree_.hash_xor(*holding->holder)
                                                 : BlockHash{};
  }

  bool truncated() const override {
    const std::shared_lock lock(pool_.tree_mutex_);
    const RoutingPool::Holding* holding = Find();
    // Without a holder nothing is known, which is the utmost of truncation.
    return holding == nullptr || !holding->holder || pool_.tree_.truncated(*holding->holder);
  }

  void SetUsable(bool usable) override {
    const std::unique_lock lock(pool_.tree_mutex_);
    if (RoutingPool::Holding* holding = Find(); holding != nullptr) holding->usable = usable;
  }

 private:
  RoutingPool::Holding* Find() const {
    RoutingPool::Holding& holding = pool_.holdings_[worker_.slot];
    return holding.generation == worker_.generation ? &holding : nullptr;
  }

  RoutingPool& pool_;
  const WorkerHandle worker_;
  const Clock& clock_;
};

RoutingPool::RoutingPool(const Options& options)
    : options_(options), tree_(options.tree), optimistic_(options.optimistic) {}

WorkerHandle RoutingPool::AddWorker(std::string worker_id) {
  WorkerHandle handle;
  {
    const std::lock_guard lock(mutex_);
    size_t slot = 0;
    while (slot < slots_.size() && slots_[slot]->used) ++slot;
    if (slot == slots_.size()) slots_.push_back(nullptr);
    const uint32_t generation = slots_[slot] == nullptr ? 1 : slots_[slot]->generation + 1;
    slots_[slot] = std::make_unique<Slot>(options_.block_size, options_.health);
    slots_[slot]->id_hash = std::hash<std::string>{}(worker_id);
    slots_[slot]->id = std::move(worker_id);
    slots_[slot]->generation = generation;
    handle = {static_cast<uint32_t>(slot), generation};
  }
  const std::unique_lock lock(tree_mutex_);
  if (holdings_.size() <= handle.slot) holdings_.resize(size_t{handle.slot} + 1);
  holdings_[handle.slot] = {handle.generation, std::nullopt, false};
  return handle;
}

void RoutingPool::RemoveWorker(WorkerHandle worker) {
  {
    const std::unique_lock lock(tree_mutex_);
    Holding& holding = holdings_[worker.slot];
    if (holding.generation != worker.generation) return;
    if (holding.holder.has_value()) tree_.Retire(*holding.holder);
    holding = {0, std::nullopt, false};
  }
  ReclaimAll();
  optimistic_.OnWorkerLost(worker.slot);
  const std::lock_guard lock(mutex_);
  if (Slot* slot = Find(worker); slot != nullptr) slot->used = false;
}

void RoutingPool::ReclaimAll() {
  for (bool done = false; !done;) {
    const std::unique_lock lock(tree_mutex_);
    done = tree_.Reclaim(kReclaimSliceRuns);
  }
}

RoutingPool::Slot* RoutingPool::Find(WorkerHandle worker) {
  return const_cast<Slot*>(std::as_const(*this).Find(worker));
}

const RoutingPool::Slot* RoutingPool::Find(WorkerHandle worker) const {
  if (worker.slot >= slots_.size()) return nullptr;
  const Slot& slot = *slots_[worker.slot];
  return slot.used && slot.generation == worker.generation ? &slot : nullptr;
}

void RoutingPool::OnConnected(WorkerHandle worker, TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (Slot* slot = Find(worker); slot != nullptr) slot->health.OnConnected(now);
}

void RoutingPool::OnConnectionLost(WorkerHandle worker, TimePoint now) {
  {
    const std::lock_guard lock(mutex_);
    Slot* slot = Find(worker);
    if (slot == nullptr) return;
    slot->health.OnConnectionLost(now);
    slot->load.Forget();
  }
  optimistic_.OnWorkerLost(worker.slot);
}

void RoutingPool::OnLoadReport(WorkerHandle worker, const LoadReport& report, TimePoint now) {
  const std::lock_guard lock(mutex_);
  Slot* slot = Find(worker);
  if (slot == nullptr) return;
  slot->load.OnReport(report, now);
  slot->health.OnReport(report, now);
}

void RoutingPool::SetDraining(WorkerHandle worker, bool draining) {
  const std::lock_guard lock(mutex_);
  if (Slot* slot = Find(worker); slot != nullptr) slot->health.SetDraining(draining);
}

bool RoutingPool::TakeProbe(WorkerHandle worker, TimePoint now) {
  const std::lock_guard lock(mutex_);
  Slot* slot = Find(worker);
  if (slot == nullptr) return false;
  slot->health.Update(now);
  return slot->health.TakeProbe(now);
}

void RoutingPool::OnProbe(WorkerHandle worker, bool ok, TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (Slot* slot = Find(worker); slot != nullptr) slot->health.OnProbe(ok, now);
}

std::unique_ptr<CacheStore> RoutingPool::NewCacheStore(WorkerHandle worker, const Clock& clock) {
  return std::make_unique<PoolCacheStore>(*this, worker, clock);
}

Dispatch RoutingPool::BeginDispatch(WorkerHandle worker, const RouteQuery& query,
                                    uint32_t matched_tokens, TimePoint now) {
  Dispatch dispatch{.worker = worker};
  dispatch.ticket = optimistic_.Add(worker.slot, query.blocks, now);
  const std::lock_guard lock(mutex_);
  if (Slot* slot = Find(worker); slot != nullptr) {
    dispatch.sequence = slot->load.OnDispatch(query.prompt_tokens - matched_tokens);
    ++slot->active_streams;
  }
  return dispatch;
}

void RoutingPool::OnFirstToken(const Dispatch& dispatch, TimePoint now) {
  optimistic_.OnFirstToken(dispatch.ticket, now);
}

void RoutingPool::EndDispatch(const Dispatch& dispatch, StreamEnd end, uint64_t output_tokens,
                              TimePoint now) {
  if (end == StreamEnd::kOk) {
    optimistic_.OnStreamEnd(dispatch.ticket, now);
  } else {
    optimistic_.OnStreamFailure(dispatch.ticket);
  }
  const std::lock_guard lock(mutex_);
  if (end == StreamEnd::kOk) {
    expected_output_tokens_ +=
        kOutputAverageWeight * (static_cast<double>(output_tokens) - expected_output_tokens_);
  }
  Slot* slot = Find(dispatch.worker);
  if (slot == nullptr) return;
  slot->load.OnStreamEnd(dispatch.sequence);
  --slot->active_streams;
  if (end == StreamEnd::kOk) slot->health.OnStreamOk();
  if (end == StreamEnd::kWorkerFault) slot->health.OnStreamError();
}

WorkerStatus RoutingPool::Status(WorkerHandle worker, TimePoint now) const {
  WorkerStatus status;
  {
    const std::shared_lock lock(tree_mutex_);
    if (worker.slot < holdings_.size()) {
      const Holding& holding = holdings_[worker.slot];
      if (holding.generation == worker.generation && holding.holder.has_value()) {
        status.tree_blocks = tree_.num_blocks(*holding.holder);
      }
    }
  }
  const std::lock_guard lock(mutex_);
  const Slot* slot = Find(worker);
  if (slot == nullptr) return status;
  slot->health.Update(now);
  status.health = slot->health.health();
  status.health_reason = std::string(slot->health.reason());
  status.reported = slot->load.reported();
  if (status.reported) status.load_age = now - slot->load.reported_at();
  status.active_streams = slot->active_streams;
  return status;
}

size_t RoutingPool::tree_runs() const {
  const std::shared_lock lock(tree_mutex_);
  return tree_.num_runs();
}

size_t RoutingPool::tree_bytes() const {
  const std::shared_lock lock(tree_mutex_);
  return tree_.bytes();
}

uint64_t RoutingPool::tree_evictions() const {
  const std::shared_lock lock(tree_mutex_);
  return tree_.num_evicted_runs();
}

}  // namespace banyan::router
