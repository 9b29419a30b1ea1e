// The decision side of RoutingPool: gather candidates, weigh them, choose.
#include <algorithm>
#include <tuple>
#include <utility>

#include "router/routing/routing_pool.h"

namespace banyan::router {
namespace {

constexpr size_t kExplainedMax = 64;

// Used until a worker has told what its steps cost and no other worker has either: the shape of a
// small model on a few cores.
constexpr StepModel kUnknownStep = {
    .base_s = 0.01, .per_prefill_token_s = 0.0005, .per_sequence_s = 0.0002, .per_kv_token_s = 0};

// Rendezvous hashing: each session ranks the workers its own way, and a worker that comes or goes
// moves only its own sessions.
uint64_t SessionRank(uint64_t session_hash, uint64_t id_hash) {
  uint64_t x = session_hash ^ (id_hash * 0x9e3779b97f4a7c15);
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93;
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93;
  return x ^ (x >> 32);
}

bool InRotation(WorkerHealth health) {
  return health == WorkerHealth::kHealthy || health == WorkerHealth::kSlowStart;
}

}  // namespace

std::optional<RouteDecision> RoutingPool::Route(const RouteQuery& query, TimePoint now) {
  return Decide(query, now, false);
}

std::optional<RouteDecision> RoutingPool::Explain(const RouteQuery& query, TimePoint now) {
  return Decide(query, now, true);
}

void RoutingPool::MatchBySlot(std::span<const BlockHash> blocks, TimePoint now,
                              std::vector<uint32_t>& depth) {
  thread_local std::vector<uint32_t> by_holder;
  {
    const std::shared_lock lock(tree_mutex_);
    tree_.Match(
        blocks,
        static_cast<uint32_t>(
            std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count()),
        by_holder);
    depth.assign(holdings_.size(), 0);
    for (size_t slot = 0; slot < holdings_.size(); ++slot) {
      const Holding& holding = holdings_[slot];
      if (holding.usable && holding.holder.has_value()) depth[slot] = by_holder[*holding.holder];
    }
  }
  optimistic_.Match(blocks, now, depth);
}

bool RoutingPool::InPanic(TimePoint now) const {
  size_t num_connected = 0;
  size_t num_out = 0;
  for (const auto& slot : slots_) {
    if (!slot->used) continue;
    slot->health.Update(now);
    if (!slot->health.connected()) continue;
    const WorkerHealth health = slot->health.health();
    if (!InRotation(health) && health != WorkerHealth::kStale && health != WorkerHealth::kEjected) {
      continue;
    }
    ++num_connected;
    if (!InRotation(health)) ++num_out;
  }
  return num_out * 2 > num_connected;
}

std::string_view RoutingPool::ExcludedBecause(const Slot& slot, uint32_t index,
                                              const RouteQuery& query, bool panic) const {
  if (!slot.used) return "removed";
  for (const WorkerHandle& tried : query.excluded) {
    if (tried.slot == index && tried.generation == slot.generation) return "tried already";
  }
  switch (slot.health.health()) {
    case WorkerHealth::kHealthy:
    case WorkerHealth::kSlowStart:
      return {};
    case WorkerHealth::kStale:
    case WorkerHealth::kEjected:
      if (panic && slot.health.connected()) return {};
      return slot.health.reason();
    case WorkerHealth::kConnecting:
    case WorkerHealth::kDraining:
      return slot.health.reason();
  }
  return {};
}

StepModel RoutingPool::MedianStep() const {
  std::vector<StepModel> known;
  for (const auto& slot : slots_) {
    if (slot->used && slot->load.reported() && slot->load.report().step.known()) {
      known.push_back(slot->load.report().step);
    }
  }
  if (known.empty()) return kUnknownStep;
  const auto median = known.begin() + static_cast<ptrdiff_t>(known.size() / 2);
  std::nth_element(known.begin(), median, known.end(), [](const StepModel& a, const StepModel& b) {
    return a.per_prefill_token_s < b.per_prefill_token_s;
  });
  return *median;
}

uint32_t RoutingPool::MatchedTokens(uint32_t depth, uint32_t prompt_tokens) const {
  return std::min(depth * options_.block_size, prompt_tokens - 1);
}

RoutingPool::Weighed RoutingPool::Weigh(const RouteQuery& query, std::span<const uint32_t> depth,
                                        TimePoint now) const {
  Weighed weighed;
  weighed.panic = InPanic(now);
  std::vector<uint32_t> eligible;
  std::vector<uint32_t> matched;
  uint32_t num_routers = 1;
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    if (!ExcludedBecause(*slots_[i], i, query, weighed.panic).empty()) continue;
    eligible.push_back(i);
    matched.push_back(i < depth.size() ? MatchedTokens(depth[i], query.prompt_tokens) : 0);
    num_routers = std::max(num_routers, slots_[i]->load.report().num_routers);
  }
  const StepModel fallback = MedianStep();
  CandidateWorker busiest;
  std::vector<size_t> of_unknown_load;
  for (const size_t pick : SampleCandidates(matched, num_routers, query.random)) {
    const Slot& slot = *slots_[eligible[pick]];
    CandidateWorker candidate = slot.load.ToCandidate(fallback, now);
    if (!InRotation(slot.health.health())) {
      of_unknown_load.push_back(weighed.slots.size());
    } else if (candidate.waiting_prefill_tokens >= busiest.waiting_prefill_tokens) {
      busiest = candidate;
    }
    weighed.slots.push_back(eligible[pick]);
    weighed.candidates.push_back(candidate);
  }
  for (const size_t i : of_unknown_load) {
    weighed.candidates[i] =
        slots_[weighed.slots[i]]->load.ToCandidateOfUnknownLoad(fallback, busiest);
  }
  for (size_t i = 0; i < weighed.slots.size(); ++i) {
    const Slot& slot = *slots_[weighed.slots[i]];
    CandidateWorker& candidate = weighed.candidates[i];
    const uint32_t index = weighed.slots[i];
    candidate.matched_tokens =
        index < depth.size() ? MatchedTokens(depth[index], query.prompt_tokens) : 0;
    candidate.slow_start_factor = slot.health.SlowStartFactor(now);
    candidate.session_rank = SessionRank(query.session_hash, slot.id_hash);
  }
  return weighed;
}

RoutingRequest RoutingPool::PolicyRequest(const RouteQuery& query) const {
  RoutingRequest request;
  request.prompt_tokens = query.prompt_tokens;
  request.expected_output_tokens =
      std::min(static_cast<double>(query.max_tokens), expected_output_tokens_);
  request.has_session = query.session_hash != 0;
  request.random = query.random;
  double arrivals = 0;
  double prefill = 0;
  double num_reported = 0;
  for (const auto& slot : slots_) {
    if (!slot->used || !slot->load.reported()) continue;
    arrivals += slot->load.arrivals_per_s();
    prefill += slot->load.prefill_load();
    ++num_reported;
  }
  if (num_reported > 0) {
    request.arrivals_per_s = arrivals / num_reported;
    request.prefill_load = prefill / num_reported;
  }
  return request;
}

RoutingChoice RoutingPool::ChooseRoundRobin(const Weighed& weighed, const RoutingRequest& request) {
  RoutingChoice choice;
  choice.index = round_robin_next_++ % weighed.candidates.size();
  choice.reason =
      weighed.candidates.size() == 1 ? RoutingReason::kOnlyCandidate : RoutingReason::kLoad;
  for (const CandidateWorker& candidate : weighed.candidates) {
    choice.costs.push_back(CostOf(candidate, request));
  }
  return choice;
}

std::optional<RouteDecision> RoutingPool::Decide(const RouteQuery& query, TimePoint now,
                                                 bool explain) {
  thread_local std::vector<uint32_t> depth;
  MatchBySlot(query.blocks, now, depth);
  const std::lock_guard lock(mutex_);
  const Weighed weighed = Weigh(query, depth, now);
  if (weighed.candidates.empty()) return std::nullopt;
  const RoutingRequest request = PolicyRequest(query);
  const RoutingChoice choice = options_.policy == PolicyKind::kRoundRobin
                                   ? ChooseRoundRobin(weighed, request)
                                   : *Choose(weighed.candidates, request);
  const uint32_t index = weighed.slots[choice.index];
  const Slot& slot = *slots_[index];
  RouteDecision decision;
  decision.worker = {index, slot.generation};
  decision.worker_id = slot.id;
  decision.reason = choice.reason;
  if (query.attempt == AttemptKind::kRetry) decision.reason = RoutingReason::kRetry;
  if (query.attempt == AttemptKind::kResume) decision.reason = RoutingReason::kResume;
  if (!InRotation(slot.health.health())) decision.reason = RoutingReason::kPanic;
  decision.matched_tokens = static_cast<uint32_t>(weighed.candidates[choice.index].matched_tokens);
  decision.expected_ttft_s = choice.costs[choice.index].ttft_s;
  if (!explain) return decision;

  for (size_t i = 0; i < weighed.slots.size(); ++i) {
    decision.candidates.push_back({slots_[weighed.slots[i]]->id,
                                   static_cast<uint32_t>(weighed.candidates[i].matched_tokens),
                                   choice.costs[i],
                                   {}});
  }
  std::sort(decision.candidates.begin(), decision.candidates.end(),
            [](const ExplainedCandidate& a, const ExplainedCandidate& b) {
              return std::tie(a.cost.total, a.worker_id) < std::tie(b.cost.total, b.worker_id);
            });
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    const std::string_view why = ExcludedBecause(*slots_[i], i, query, weighed.panic);
    if (why.empty() || !slots_[i]->used) continue;
    const uint32_t matched = i < depth.size() ? MatchedTokens(depth[i], query.prompt_tokens) : 0;
    decision.candidates.push_back({slots_[i]->id, matched, {}, std::string(why)});
  }
  if (decision.candidates.size() > kExplainedMax) decision.candidates.resize(kExplainedMax);
  return decision;
}

uint32_t RoutingPool::num_ready_workers(TimePoint now) const {
  const std::lock_guard lock(mutex_);
  uint32_t num_ready = 0;
  for (const auto& slot : slots_) {
    if (!slot->used) continue;
    slot->health.Update(now);
    if (InRotation(slot->health.health())) ++num_ready;
  }
  return num_ready;
}

}  // namespace banyan::router
