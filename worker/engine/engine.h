// The engine: continuous batching over a paged KV cache. One thread owns it and calls Step();
// Submit, Cancel, StopSamples, Drain, Stats and the cache log are thread-safe.
//
// Step() reads: take inbox, plan, run, commit, publish. All scheduler and cache state belongs to
// the engine thread and has no locks; only inbox, sinks, stats and the cache event log cross
// threads.
//
// Statuses carry their reason first, then a colon: "QUEUE_FULL: 512 requests wait, limit 512". The
// reasons are those of docs/protocol.md. Submit: INVALID_FIELD, KV_CAPACITY_EXCEEDED, QUEUE_FULL,
// REQUEST_ID_IN_USE, WORKER_DRAINING, WORKER_LOST. OnFinish: CANCELLED, DEADLINE_EXCEEDED,
// QUEUE_TIMEOUT, WORKER_DRAINING, NON_FINITE_LOGITS, ENGINE_FAULT.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "worker/cache/cache_event.h"
#include "worker/request/request.h"
#include "worker/request/request_sink.h"
#include "worker/request/step_executor.h"

namespace banyan::worker {

struct EngineOptions {
  int32_t block_size = 16;     // tokens per KV block, [1, 256]
  int32_t num_blocks = 0;      // in the pool
  int32_t context_length = 0;  // tokens of one sequence, prompt and output
  int32_t vocabulary_size = 0;
  int32_t max_step_tokens = 512;  // token budget of one step
  int32_t max_running_sequences = 64;
  int32_t max_waiting_requests = 512;  // inbox and waiting list together
  int32_t num_samples_max = 16;
  std::vector<TokenId> eos_token_ids;
  bool prefix_cache = true;
  size_t cache_log_bytes_max = 8u << 20;
  size_t prompt_logprobs_bytes_max = 64u << 20;  // tables of all requests together
};

enum class EngineState { kServing, kDraining, kDrained, kFailed };

// The learned time of a step: base + per_prefill_token * p + per_sequence * n + per_kv_token * kv,
// microseconds.
struct StepCost {
  double base_us = 0;
  double per_prefill_token_us = 0;
  double per_sequence_us = 0;
  double per_kv_token_us = 0;
};

// One consistent picture; counters start at 0 and never fall.
struct EngineStats {
  EngineState state = EngineState::kServing;
  uint64_t heartbeats = 0;  // turns of the loop, idle ones included
  uint64_t steps = 0;       // turns that computed
  TimePoint last_step_end{};
  int32_t running_sequences = 0;
  int32_t decoding_sequences = 0;
  int64_t decoding_kv_tokens = 0;
  int32_t waiting_requests = 0;
  int64_t waiting_prefill_tokens = 0;
  Duration oldest_waiting{0};
  int32_t blocks_total = 0;
  int32_t blocks_used = 0;          // held by sequences
  int32_t blocks_cached = 0;        // held by the prefix cache alone
  int32_t blocks_wanted = 0;        // by waiting requests, for their prompts
  double prefill_tokens_per_s = 0;  // of step time, moving average over about 10 s
  double decode_tokens_per_s = 0;
  double decode_step_us = 0;
  double blocks_freed_per_s = 0;  // moving average over about 1 s
  double requests_finished_per_s = 0;
  StepCost step_cost;
  uint64_t requests_finished = 0;
  uint64_t preemptions = 0;
  uint64_t prefix_lookup_tokens = 0;
  uint64_t prefix_hit_tokens = 0;
  uint64_t prompt_tokens_computed = 0;
  uint64_t prompt_tokens_cached = 0;
  uint64_t generated_tokens = 0;
  uint64_t evicted_blocks = 0;
  uint64_t inbox_rejected = 0;
  uint64_t numeric_faults = 0;
};

// What one computing step did, for histograms. Called on the engine thread.
struct StepObservation {
  Duration duration{0};
  int32_t prefill_tokens = 0;
  int32_t decode_tokens = 0;
};
using StepObserver = std::function<void(const StepObservation&)>;

class Engine {
 public:
  virtual ~Engine() = default;

  // `executor` and `clock` must outlive the engine. INVALID_ARGUMENT names a bad option.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(const EngineOptions& options,
                                                        StepExecutor& executor, const Clock& clock);

  // Takes a request. The sink hears of it from the next Step() on, and OnFinish exactly once, if
  // and only if this returns OK. Refused at once: RESOURCE_EXHAUSTED (inbox and waiting list full),
  // FAILED_PRECONDITION (can never fit: names needed and available blocks), ALREADY_EXISTS (id in
  // use), UNAVAILABLE (draining).
  virtual absl::Status Submit(Request request, std::shared_ptr<RequestSink> sink) = 0;
  // Ends a request with CANCELLED at the next step boundary; its blocks are free then. Unknown ids
  // are ignored.
  virtual void Cancel(std::string_view request_id) = 0;
  // Ends samples with kStop at the next step boundary; tokens after the call may still be
  // delivered.
  virtual void StopSamples(std::string_view request_id, std::span<const int32_t> indices) = 0;

  // Stops admission. Waiting requests end at once with UNAVAILABLE (draining); running ones finish,
  // or end the same way once `deadline` has passed. Idempotent; a later call may shorten the
  // deadline.
  virtual void Drain(TimePoint deadline) = 0;
  virtual void Undrain() = 0;

  // One turn. True when it computed something. An error is the executor's: every request has been
  // ended with INTERNAL and the engine is kFailed.
  virtual absl::StatusOr<bool> Step() = 0;
  // Blocks the engine thread until there is something to do or `timeout` has passed.
  virtual void WaitForWork(Duration timeout) = 0;

  virtual EngineStats Stats() const = 0;
  // Call before the first Step().
  virtual void SetStepObserver(StepObserver observer) = 0;

  // --- The cache event log: a ring of the last cache_log_bytes_max of events, sequence numbers
  // from 1. --- Sequence of the newest event; 0 when there was none.
  virtual uint64_t CacheSequence() const = 0;
  // Appends events [next_sequence, newest] up to about `bytes_max`, at least one. False when
  // next_sequence has left the ring: then take a snapshot.
  virtual bool ReadCacheEvents(uint64_t next_sequence, size_t bytes_max,
                               std::vector<CacheEvent>& events) const = 0;
  // Everything the cache holds as stored events, parents before children, and the sequence it
  // stands at.
  virtual std::vector<CacheEvent> CacheSnapshot(uint64_t& sequence) const = 0;
  // Number and XOR of the hashes at `sequence`, for heartbeats.
  virtual void CacheChecksum(uint64_t& sequence, uint32_t& num_blocks,
                             BlockHash& hash_xor) const = 0;

  // Aborts when an invariant of pool, cache or scheduler does not hold. Engine thread.
  virtual void CheckInvariants() const = 0;
};

}  // namespace banyan::worker
