// The workers of one model as routing sees them: what each holds, how loaded and how healthy it is,
// and the decision that follows. Knows no connections and no wire.
//
// A worker is a slot number here; slots are reused, so a dispatch carries the slot's generation and
// what comes too late falls on nothing.
//
// Thread-safe. Locks: `tree_mutex_` (readers match, writers apply at most 256 blocks), then
// `mutex_` (loads, health, dispatches), never held together by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/block_hash.h"
#include "common/base/clock.h"
#include "router/routing/cache_follower.h"
#include "router/routing/optimistic_entries.h"
#include "router/routing/prefix_tree.h"
#include "router/routing/routing_policy.h"
#include "router/routing/worker_health.h"
#include "router/routing/worker_load.h"

namespace banyan::router {

// How workers are chosen. Round-robin exists to measure what the cost is worth.
enum class PolicyKind { kCost, kRoundRobin };

struct WorkerHandle {
  uint32_t slot = 0;
  uint32_t generation = 0;

  friend bool operator==(const WorkerHandle&, const WorkerHandle&) = default;
};

enum class AttemptKind { kFirst, kRetry, kResume };

struct RouteQuery {
  std::span<const BlockHash> blocks = {};  // full blocks of the prompt
  uint32_t prompt_tokens = 1;
  uint32_t max_tokens = 1;
  uint64_t session_hash = 0;  // 0: no session
  uint64_t random = 0;
  AttemptKind attempt = AttemptKind::kFirst;
  std::span<const WorkerHandle> excluded = {};  // tried already
};

// One worker in an explanation.
struct ExplainedCandidate {
  std::string worker_id;
  uint32_t matched_tokens = 0;
  RoutingCost cost;
  std::string excluded_because;  // empty: it was weighed
};

struct RouteDecision {
  WorkerHandle worker = {};
  std::string worker_id;
  RoutingReason reason = RoutingReason::kLoad;
  uint32_t matched_tokens = 0;
  double expected_ttft_s = 0;
  std::vector<ExplainedCandidate> candidates;  // from Explain: cheapest first
};

// A request on its way to a worker, as the pool accounts for it.
struct Dispatch {
  WorkerHandle worker = {};
  uint64_t sequence = 0;
  OptimisticEntries::Ticket ticket = OptimisticEntries::kNoTicket;
};

enum class StreamEnd { kOk, kCancelled, kWorkerFault };

// A worker for lists and metrics.
struct WorkerStatus {
  WorkerHealth health = WorkerHealth::kConnecting;
  std::string health_reason;
  bool reported = false;
  Duration load_age{0};
  uint32_t active_streams = 0;
  uint64_t tree_blocks = 0;
};

class RoutingPool {
 public:
  struct Options {
    uint32_t block_size = 16;
    PolicyKind policy = PolicyKind::kCost;
    PrefixTree::Options tree = {};
    OptimisticEntries::Options optimistic = {};
    WorkerHealthTracker::Limits health = {};
  };

  explicit RoutingPool(const Options& options);

  WorkerHandle AddWorker(std::string worker_id);
  void RemoveWorker(WorkerHandle worker);

  // Connection and reports. Late calls for a removed worker do nothing.
  void OnConnected(WorkerHandle worker, TimePoint now);
  void OnConnectionLost(WorkerHandle worker, TimePoint now);
  void OnLoadReport(WorkerHandle worker, const LoadReport& report, TimePoint now);
  void SetDraining(WorkerHandle worker, bool draining);
  // True when a probe request to an ejected worker is due; end it with OnProbe.
  bool TakeProbe(WorkerHandle worker, TimePoint now);
  void OnProbe(WorkerHandle worker, bool ok, TimePoint now);

  // The tree's side of a CacheFollower for this worker. Lives as long as the pool and the caller
  // keep it; does nothing once the worker was removed.
  std::unique_ptr<CacheStore> NewCacheStore(WorkerHandle worker, const Clock& clock);

  // Where a request goes. Absent: no worker can be chosen.
  std::optional<RouteDecision> Route(const RouteQuery& query, TimePoint now);
  // The same with every candidate, also those that could not be chosen (at most 64).
  std::optional<RouteDecision> Explain(const RouteQuery& query, TimePoint now);

  // Accounts for a request that is now sent to `worker`.
  Dispatch BeginDispatch(WorkerHandle worker, const RouteQuery& query, uint32_t matched_tokens,
                         TimePoint now);
  void OnFirstToken(const Dispatch& dispatch, TimePoint now);
  void EndDispatch(const Dispatch& dispatch, StreamEnd end, uint64_t output_tokens, TimePoint now);

  WorkerStatus Status(WorkerHandle worker, TimePoint now) const;
  uint32_t num_ready_workers(TimePoint now) const;
  size_t tree_runs() const;
  size_t tree_bytes() const;
  uint64_t tree_evictions() const;

 private:
  friend class PoolCacheStore;
  struct Slot {
    Slot(uint32_t block_size, const WorkerHealthTracker::Limits& limits)
        : load(block_size), health(limits) {}
    std::string id;
    uint64_t id_hash = 0;
    uint32_t generation = 0;
    bool used = true;
    WorkerLoad load;
    mutable WorkerHealthTracker health;  // moved on by looking at it
    uint32_t active_streams = 0;
  };
  // What the tree knows of a slot; guarded by tree_mutex_.
  struct Holding {
    uint32_t generation = 0;
    std::optional<HolderId> holder;
    bool usable = false;  // not inside a snapshot
  };
  struct Weighed {
    std::vector<uint32_t> slots;  // beside the candidates
    std::vector<CandidateWorker> candidates;
    bool panic = false;
  };

  Slot* Find(WorkerHandle worker);
  const Slot* Find(WorkerHandle worker) const;
  // Blocks of the prompt that each slot holds or is about to hold.
  void MatchBySlot(std::span<const BlockHash> blocks, TimePoint now, std::vector<uint32_t>& depth);
  // Why a slot cannot be chosen; empty when it can.
  std::string_view ExcludedBecause(const Slot& slot, uint32_t index, const RouteQuery& query,
                                   bool panic) const;
  bool InPanic(TimePoint now) const;
  Weighed Weigh(const RouteQuery& query, std::span<const uint32_t> depth, TimePoint now) const;
  RoutingRequest PolicyRequest(const RouteQuery& query) const;
  StepModel MedianStep() const;
  uint32_t MatchedTokens(uint32_t depth, uint32_t prompt_tokens) const;
  std::optional<RouteDecision> Decide(const RouteQuery& query, TimePoint now, bool explain);
  RoutingChoice ChooseRoundRobin(const Weighed& weighed, const RoutingRequest& request);
  void ReclaimAll();

  const Options options_;
  mutable std::shared_mutex tree_mutex_;
  PrefixTree tree_;
  std::vector<Holding> holdings_;  // by slot
  OptimisticEntries optimistic_;

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Slot>> slots_;
  uint64_t round_robin_next_ = 0;
  double expected_output_tokens_ = 200;
};

}  // namespace banyan::router
