// What the router knows of one worker's load: its last report plus the router's own dispatches
// that the report does not contain yet, so that none is counted twice and none is missed.
//
// Not thread-safe; RoutingPool guards it.
#pragma once

#include <cstdint>
#include <map>

#include "common/base/clock.h"
#include "router/routing/routing_policy.h"

namespace banyan::router {

enum class ReportedState { kUnknown, kStarting, kServing, kDraining, kDrained, kFailed };

// One message of WatchLoad, as plain data. Counters start at 0 with the epoch and never fall.
struct LoadReport {
  uint64_t epoch = 0;
  ReportedState state = ReportedState::kUnknown;
  uint64_t heartbeats = 0;
  uint64_t dispatch_sequence_seen = 0;
  uint32_t running_sequences = 0;
  uint32_t waiting_requests = 0;
  uint64_t waiting_prefill_tokens = 0;
  uint32_t kv_blocks_total = 0;
  uint32_t kv_blocks_used = 0;
  uint32_t kv_blocks_wanted = 0;
  StepModel step = {};
  uint32_t decoding_sequences = 0;
  uint64_t decoding_kv_tokens = 0;
  double kv_blocks_freed_per_s = 0;
  double requests_finished_per_s = 0;
  uint32_t step_tokens_max = 0;
  uint32_t running_sequences_max = 0;
  uint32_t num_routers = 0;
  uint64_t requests_finished = 0;
  uint64_t prefix_lookup_tokens = 0;
  uint64_t prefix_hit_tokens = 0;
};

class WorkerLoad {
 public:
  // `block_size` in tokens.
  explicit WorkerLoad(uint32_t block_size) : block_size_(block_size) {}

  void OnReport(const LoadReport& report, TimePoint now);
  // Counts a dispatch until a report contains it or its stream ends. The answer is its
  // dispatch_sequence, from 1.
  uint64_t OnDispatch(uint64_t uncached_tokens);
  void OnStreamEnd(uint64_t dispatch_sequence) { unreported_.erase(dispatch_sequence); }
  // The connection was lost: the last report says nothing of what comes next.
  void Forget();

  bool reported() const { return reported_; }
  TimePoint reported_at() const { return reported_at_; }
  const LoadReport& report() const { return report_; }
  // Requests that arrive per second and prefill's share of time, moving averages over about 5 s.
  double arrivals_per_s() const { return arrivals_per_s_; }
  double prefill_load() const { return prefill_load_; }

  // All that comes from the load; the prompt's side is left at its defaults. `fallback` stands in
  // for a step model that is not known yet.
  CandidateWorker ToCandidate(const StepModel& fallback, TimePoint now) const;
  // The same for a worker whose reports stopped: its load is unknown, so it is taken to be as
  // loaded as `busiest`.
  CandidateWorker ToCandidateOfUnknownLoad(const StepModel& fallback,
                                           const CandidateWorker& busiest) const;

 private:
  const uint32_t block_size_;
  bool reported_ = false;
  TimePoint reported_at_;
  LoadReport report_;
  uint64_t last_dispatch_ = 0;
  std::map<uint64_t, uint64_t> unreported_;  // uncached tokens by dispatch_sequence
  double arrivals_per_s_ = 1;
  double prefill_load_ = 0.3;
};

}  // namespace banyan::router
