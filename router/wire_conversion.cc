#include "router/wire_conversion.h"

#include <algorithm>
#include <cmath>

namespace banyan::router {
namespace {

constexpr double kMicrosecond = 1e-6;

ReportedState ToState(v1::WorkerState state) {
  switch (state) {
    case v1::WORKER_STATE_STARTING:
      return ReportedState::kStarting;
    case v1::WORKER_STATE_SERVING:
      return ReportedState::kServing;
    case v1::WORKER_STATE_DRAINING:
      return ReportedState::kDraining;
    case v1::WORKER_STATE_DRAINED:
      return ReportedState::kDrained;
    case v1::WORKER_STATE_FAILED:
      return ReportedState::kFailed;
    default:
      return ReportedState::kUnknown;
  }
}

ChainView ToChain(const v1::BlockChain& chain) { return {chain.parent_hash(), chain.hashes()}; }

uint64_t ToMicroseconds(double seconds) {
  constexpr double kMax = 1e15;  // 30 years
  return static_cast<uint64_t>(std::clamp(seconds / kMicrosecond, 0.0, kMax));
}

}  // namespace

LoadReport ToLoadReport(const v1::WatchLoadResponse& wire) {
  LoadReport report;
  report.epoch = wire.epoch();
  report.state = ToState(wire.state());
  report.heartbeats = wire.heartbeats();
  report.dispatch_sequence_seen = wire.dispatch_sequence_seen();
  report.running_sequences = wire.running_sequences();
  report.waiting_requests = wire.waiting_requests();
  report.waiting_prefill_tokens = wire.waiting_prefill_tokens();
  report.kv_blocks_total = wire.kv_blocks_total();
  report.kv_blocks_used = wire.kv_blocks_used();
  report.kv_blocks_wanted = wire.kv_blocks_wanted();
  report.step = {.base_s = wire.step_cost().base_us() * kMicrosecond,
                 .per_prefill_token_s = wire.step_cost().per_prefill_token_us() * kMicrosecond,
                 .per_sequence_s = wire.step_cost().per_sequence_us() * kMicrosecond,
                 .per_kv_token_s = wire.step_cost().per_kv_token_us() * kMicrosecond};
  report.decoding_sequences = wire.decoding_sequences();
  report.decoding_kv_tokens = wire.decoding_kv_tokens();
  report.kv_blocks_freed_per_s = wire.kv_blocks_freed_per_s();
  report.requests_finished_per_s = wire.requests_finished_per_s();
  report.step_tokens_max = wire.step_tokens_max();
  report.running_sequences_max = wire.running_sequences_max();
  report.num_routers = wire.num_routers();
  report.requests_finished = wire.requests_finished();
  report.prefix_lookup_tokens = wire.prefix_lookup_tokens();
  report.prefix_hit_tokens = wire.prefix_hit_tokens();
  return report;
}

CacheEventView ToCacheEventView(const v1::WatchCacheResponse& wire) {
  CacheEventView view{.epoch = wire.epoch(), .sequence = wire.sequence(), .kind = {}};
  if (wire.has_snapshot()) {
    SnapshotView snapshot;
    snapshot.index = wire.snapshot().index();
    snapshot.last = wire.snapshot().last();
    for (const v1::BlockChain& chain : wire.snapshot().chains()) {
      snapshot.chains.push_back(ToChain(chain));
    }
    view.kind = std::move(snapshot);
  } else if (wire.has_delta()) {
    DeltaView delta;
    for (const v1::CacheChange& change : wire.delta().changes()) {
      auto& to = delta.changes.emplace_back();
      if (change.has_stored()) {
        to = ToChain(change.stored());
      } else if (change.kind_case() == v1::CacheChange::kRemovedHashes) {
        to = RemovedView{change.removed_hashes()};
      } else if (change.cleared()) {
        to = ClearedView{};
      }
    }
    view.kind = std::move(delta);
  } else if (wire.has_heartbeat()) {
    view.kind = HeartbeatView{wire.heartbeat().num_blocks(), wire.heartbeat().hash_xor()};
  }
  return view;
}

v1::WorkerHealth ToWire(WorkerHealth health) {
  switch (health) {
    case WorkerHealth::kConnecting:
      return v1::WORKER_HEALTH_CONNECTING;
    case WorkerHealth::kHealthy:
      return v1::WORKER_HEALTH_HEALTHY;
    case WorkerHealth::kSlowStart:
      return v1::WORKER_HEALTH_SLOW_START;
    case WorkerHealth::kStale:
      return v1::WORKER_HEALTH_STALE;
    case WorkerHealth::kEjected:
      return v1::WORKER_HEALTH_EJECTED;
    case WorkerHealth::kDraining:
      return v1::WORKER_HEALTH_DRAINING;
  }
  return v1::WORKER_HEALTH_UNSPECIFIED;
}

v1::RoutingReason ToWire(RoutingReason reason) {
  switch (reason) {
    case RoutingReason::kPrefix:
      return v1::ROUTING_REASON_PREFIX;
    case RoutingReason::kLoad:
      return v1::ROUTING_REASON_LOAD;
    case RoutingReason::kPrefixTooBusy:
      return v1::ROUTING_REASON_PREFIX_TOO_BUSY;
    case RoutingReason::kSession:
      return v1::ROUTING_REASON_SESSION;
    case RoutingReason::kOnlyCandidate:
      return v1::ROUTING_REASON_ONLY_CANDIDATE;
    case RoutingReason::kRetry:
      return v1::ROUTING_REASON_RETRY;
    case RoutingReason::kResume:
      return v1::ROUTING_REASON_RESUME;
    case RoutingReason::kPanic:
      return v1::ROUTING_REASON_PANIC;
  }
  return v1::ROUTING_REASON_UNSPECIFIED;
}

v1::RoutingDecision ToWire(const RouteDecision& decision) {
  v1::RoutingDecision wire;
  wire.set_worker_id(decision.worker_id);
  wire.set_reason(ToWire(decision.reason));
  wire.set_expected_cached_tokens(decision.matched_tokens);
  wire.set_expected_ttft_us(ToMicroseconds(decision.expected_ttft_s));
  for (const ExplainedCandidate& candidate : decision.candidates) {
    v1::RoutingCandidate& to = *wire.add_candidates();
    to.set_worker_id(candidate.worker_id);
    to.set_cached_tokens(candidate.matched_tokens);
    to.set_queue_us(ToMicroseconds(candidate.cost.queue_s));
    to.set_prefill_us(ToMicroseconds(candidate.cost.prefill_s));
    to.set_decode_harm_us(ToMicroseconds(candidate.cost.delay_s));
    to.set_kv_pressure_us(ToMicroseconds(candidate.cost.kv_wait_s));
    to.set_total_us(ToMicroseconds(candidate.cost.total));
    to.set_excluded_because(candidate.excluded_because);
  }
  return wire;
}

const char* NameOf(RoutingReason reason) {
  switch (reason) {
    case RoutingReason::kPrefix:
      return "prefix";
    case RoutingReason::kLoad:
      return "load";
    case RoutingReason::kPrefixTooBusy:
      return "prefix_too_busy";
    case RoutingReason::kSession:
      return "session";
    case RoutingReason::kOnlyCandidate:
      return "only_candidate";
    case RoutingReason::kRetry:
      return "retry";
    case RoutingReason::kResume:
      return "resume";
    case RoutingReason::kPanic:
      return "panic";
  }
  return "";
}

const char* ClassNameOf(v1::Priority priority) {
  switch (priority) {
    case v1::PRIORITY_REALTIME:
      return "realtime";
    case v1::PRIORITY_BATCH:
      return "batch";
    default:
      return "interactive";
  }
}

}  // namespace banyan::router
