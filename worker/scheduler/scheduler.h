// Decides what each step computes and what its results mean: iteration-level continuous batching
// (Yu et al. 2022, Orca) with chunked prefill, over a paged cache with prefix sharing. Owned by the
// engine thread; no locks. Deterministic: a plan depends on the calls before it and their times
// only.
//
// Order of a step: decodes of all running sequences, then prefill of running ones, then admissions,
// within max_step_tokens. When blocks run out, the lowest class's youngest sequence is preempted:
// its blocks go back (full ones stay findable), it waits with its old age and recomputes what is
// not found. Nothing starves, because
//   - the highest-ranked running sequence may take every other one's blocks, and any request
//     accepted fits into the pool alone;
//   - at admission a request's age counts times its class's weight (16:4:1), so whoever waits
//   longest
//     outranks all newcomers in the end;
//   - a request that does not fit is overtaken at most kBypassMax times, then nobody passes it;
//   - every second preemption lifts a sequence by one class.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "worker/cache/radix_cache.h"
#include "worker/request/request.h"
#include "worker/request/request_sink.h"
#include "worker/request/step_plan.h"
#include "worker/scheduler/job.h"

namespace banyan::worker {

struct SchedulerOptions {
  int32_t max_step_tokens = 512;       // >= max_running_sequences: every decode fits into a step
  int32_t max_running_sequences = 64;  // an unforked request counts all its samples
  std::vector<TokenId> eos_token_ids;
};

// What one request's sink is to hear of, in this order.
struct Delivery {
  struct Start {
    RequestUsage usage;
    TokenLogprobs prompt_logprobs;
  };
  struct End {
    absl::Status status;
    RequestUsage usage;
    RequestTiming timing;
  };
  std::string request_id;
  std::shared_ptr<RequestSink> sink;
  std::optional<Start> start;
  std::vector<SampleUpdate> updates;
  std::optional<End> end;
};

// The regressors of a step's cost.
struct StepShape {
  int32_t prefill_tokens = 0;
  int32_t decode_tokens = 0;  // sequences past their prefill, one token each
  int64_t decode_kv_tokens = 0;
};

struct SchedulerCounters {
  uint64_t requests_finished = 0;  // with OK
  uint64_t requests_ended = 0;     // in any way
  uint64_t preemptions = 0;
  uint64_t prefix_lookup_tokens = 0;
  uint64_t prefix_hit_tokens = 0;
  uint64_t prompt_tokens_computed = 0;
  uint64_t prompt_tokens_cached = 0;
  uint64_t generated_tokens = 0;
  uint64_t numeric_faults = 0;
  uint64_t blocks_freed = 0;  // given back by ended sequences
};

// Load at one moment.
struct SchedulerLoad {
  int32_t running_sequences = 0;
  int32_t decoding_sequences = 0;
  int64_t decoding_kv_tokens = 0;
  int32_t waiting_requests = 0;        // no sequence of theirs runs
  int64_t waiting_prefill_tokens = 0;  // still to compute, waiting and running
  Duration oldest_waiting{0};
  int32_t blocks_wanted = 0;
};

class Scheduler {
 public:
  // Admissions that may overtake a request that does not fit.
  static constexpr int32_t kBypassMax = 16;
  // Waiting sequences that one step looks at.
  static constexpr int32_t kAdmissionScanMax = 16;
  // A prefill with more than this many steps' budget left leaves half of the budget to others.
  static constexpr int32_t kLongPrefillSteps = 4;

  // `cache` outlives the scheduler.
  Scheduler(const SchedulerOptions& options, RadixCache& cache);

  // Takes a valid request that fits into the pool alone; its id is not in use.
  void Add(Request request, std::shared_ptr<RequestSink> sink, TimePoint submitted);
  // Ends a request; its blocks are free on return. Unknown ids are ignored.
  void End(std::string_view request_id, const absl::Status& status, TimePoint now);
  // Ends samples with kStop. Unknown ids, indices and ended samples are ignored.
  void StopSamples(std::string_view request_id, std::span<const int32_t> indices, TimePoint now);
  // Ends what has passed its deadline or its max_queue.
  void ExpireDeadlines(TimePoint now);
  // Ends requests that have not computed anything yet, or all.
  enum class Scope { kUnstarted, kAll };
  void EndRequests(Scope scope, const absl::Status& status, TimePoint now);

  // Plans a step: allocates its blocks and admits and preempts on the way. Empty when there is
  // nothing to compute. Valid until the next call; each plan that is not empty is followed by
  // Commit or by EndRequests(kAll).
  const StepPlan& Plan(TimePoint now);
  // Takes what the executor returned for the last plan.
  void Commit(const StepResult& result, TimePoint now);

  // What sinks are to hear since the last call; at most one entry per request.
  std::vector<Delivery> TakeDeliveries();

  bool empty() const { return jobs_.empty(); }
  const StepShape& shape() const { return shape_; }  // of the last plan
  const SchedulerCounters& counters() const { return counters_; }
  // Requests that have not computed anything yet.
  int32_t num_unstarted() const;
  SchedulerLoad Load(TimePoint now) const;
  // KV slots in held blocks, and of these the ones without a computed token.
  struct SlotUse {
    int64_t allocated = 0;
    int64_t unused = 0;
  };
  SlotUse KvSlots() const;

  // Aborts when an invariant of jobs, sequences or block ownership is broken.
  void CheckInvariants() const;

 private:
  struct Slice {
    Sequence* sequence = nullptr;
    int32_t num_new_tokens = 0;
  };

  // plan.cc
  void PlanDecodes();
  void PlanPrefills(TimePoint now);
  void PlanPrefill(Sequence& sequence, bool others_wait);
  void SpendLeftover();
  int32_t PrefillShare(const Sequence& sequence, bool others_wait) const;
  bool EnsureBlocks(Sequence& sequence, int32_t num_new_tokens);
  int32_t BlocksMissing(const Sequence& sequence, int32_t num_new_tokens) const;
  bool PreemptBelow(const Sequence& sequence);
  void Preempt(Sequence& victim);
  void WritePlan(TimePoint now);
  void WriteRows(const Sequence& sequence, SequencePlan& plan) const;
  bool IsDecode(const Sequence& sequence) const;

  // admission.cc
  enum class Verdict { kAdmit, kBlocked, kDeferred };
  void Admit(TimePoint now);
  Verdict Judge(Sequence& sequence);
  void StartRunning(Sequence& sequence);
  PrefixKey KeyOf(Sequence& sequence) const;
  bool IsBeingComputed(const Sequence& sequence, int32_t num_found) const;
  int32_t BlocksReserved() const;
  int32_t SlotsOf(const Sequence& sequence) const;
  int32_t SlotsUsed() const;

  // commit.cc
  void CommitSlice(Sequence& sequence, const SequencePlan& plan,
                   std::span<const kernels::SampledToken> rows, TimePoint now);
  void IndexFullBlocks(Sequence& sequence, int32_t num_computed_before);
  void Fork(Sequence& leader, std::span<const kernels::SampledToken> drawn, TimePoint now);
  void AppendDrawn(Sequence& sequence, const kernels::SampledToken& drawn, TimePoint now);
  SampleUpdate& UpdateOf(Job& job, int32_t sample_index);

  // scheduler.cc
  Job* Find(std::string_view request_id);
  Sequence& AddSequence(Job& job, int32_t sample_index);
  void AppendOutputs(Sequence& sequence, std::span<const TokenId> outputs);
  void FinishSample(Job& job, int32_t sample_index, FinishReason reason);
  void RetireSequence(Sequence& sequence);
  void EndIfDone(Job& job, TimePoint now);
  void EndJob(Job& job, const absl::Status& status, TimePoint now);
  void ReportStart(Job& job);
  Delivery& OutboxOf(Job& job);
  int32_t BlocksFor(int32_t num_tokens) const;

  const SchedulerOptions options_;
  RadixCache& cache_;
  SchedulerCounters counters_;

  std::map<uint64_t, std::unique_ptr<Job>> jobs_;  // by order of arrival
  std::unordered_map<std::string, uint64_t> serials_;
  uint64_t next_serial_ = 0;
  int64_t next_sequence_ = 0;
  std::vector<Sequence*> waiting_;
  std::vector<Sequence*> running_;           // by rank while a step is planned
  std::vector<std::unique_ptr<Job>> ended_;  // kept until the next plan: slices point into them
  std::vector<Delivery> outbox_;

  // The step in hand.
  int64_t step_ = 0;
  int32_t tokens_left_ = 0;
  bool stalled_ = false;  // memory ran short: nobody is admitted
  std::vector<Slice> slices_;
  StepPlan plan_;
  StepShape shape_;
};

}  // namespace banyan::worker
