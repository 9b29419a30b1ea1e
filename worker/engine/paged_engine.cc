#include "worker/engine/paged_engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "worker/sampling/sample_planner.h"

namespace banyan::worker {
namespace {

absl::Status CheckRange(const char* name, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("INVALID_FIELD: %s: %d is outside [%d, %d]", name, value, min, max));
}

// A value that must be in [min, max].
struct Bound {
  const char* name;
  int64_t value;
  int64_t min;
  int64_t max;
};

// The first that does not hold.
absl::Status CheckBounds(std::span<const Bound> bounds) {
  for (const Bound& bound : bounds) {
    absl::Status status = CheckRange(bound.name, bound.value, bound.min, bound.max);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CheckTokens(const char* name, std::span<const TokenId> tokens, int32_t vocabulary) {
  for (const TokenId token : tokens) {
    if (token >= 0 && token < vocabulary) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("INVALID_FIELD: %s: token %d is outside [0, %d)", name, token, vocabulary));
  }
  return absl::OkStatus();
}

absl::Status ValidateOptions(const EngineOptions& options) {
  const Bound bounds[] = {
      {"block_size", options.block_size, 1, 256},
      {"num_blocks", options.num_blocks, 1, int64_t{1} << 30},
      {"context_length", options.context_length, 2, int64_t{1} << 30},
      {"vocabulary_size", options.vocabulary_size, 1, int64_t{1} << 30},
      {"max_running_sequences", options.max_running_sequences, 1, 1 << 16},
      {"max_step_tokens", options.max_step_tokens, options.max_running_sequences, 1 << 24},
      {"max_waiting_requests", options.max_waiting_requests, 1, 1 << 24},
      {"num_samples_max", options.num_samples_max, 1, 1024},
  };
  absl::Status status = CheckBounds(bounds);
  if (!status.ok()) return status;
  return CheckTokens("eos_token_ids", options.eos_token_ids, options.vocabulary_size);
}

void Deliver(const Delivery& delivery) {
  if (delivery.start.has_value()) {
    delivery.sink->OnStart(delivery.start->usage, delivery.start->prompt_logprobs);
  }
  if (!delivery.updates.empty()) delivery.sink->OnTokens(delivery.updates);
  if (delivery.end.has_value()) {
    delivery.sink->OnFinish(delivery.end->status, delivery.end->usage, delivery.end->timing);
  }
}

const char kDrained[] = "WORKER_DRAINING: the worker is draining; continue elsewhere";

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(const EngineOptions& options,
                                                       StepExecutor& executor, const Clock& clock) {
  absl::Status status = ValidateOptions(options);
  if (!status.ok()) return status;
  return std::make_unique<PagedEngine>(options, executor, clock);
}

PagedEngine::PagedEngine(const EngineOptions& options, StepExecutor& executor, const Clock& clock)
    : options_(options),
      executor_(executor),
      clock_(clock),
      log_(options.num_blocks, options.cache_log_bytes_max),
      inbox_(options.max_waiting_requests, options.prompt_logprobs_bytes_max),
      cache_({options.num_blocks, options.block_size, options.prefix_cache}, log_),
      scheduler_({options.max_step_tokens, options.max_running_sequences, options.eos_token_ids},
                 cache_) {
  stats_.blocks_total = options.num_blocks;
}

absl::StatusOr<bool> PagedEngine::Step() {
  const TimePoint begin = clock_.Now();
  ++turn_.heartbeats;
  computed_ = false;
  if (!fault_.ok()) return Fail(fault_);
  TakeInbox(begin);
  const StepPlan& plan = scheduler_.Plan(begin);
  if (!plan.sequences.empty()) {
    const absl::Status status = executor_.Execute(plan, result_);
    if (!status.ok()) return Fail(status);
    const TimePoint end = clock_.Now();
    scheduler_.Commit(result_, end);
    Measure(begin, end);
    computed_ = true;
  }
  Publish();
  return computed_;
}

void PagedEngine::TakeInbox(TimePoint now) {
  InboxContents inbox = inbox_.Take();
  for (Submission& submission : inbox.submissions) {
    scheduler_.Add(std::move(submission.request), std::move(submission.sink), submission.submitted);
  }
  for (const auto& [id, indices] : inbox.stops) {
    const std::vector<int32_t> list(indices.begin(), indices.end());
    scheduler_.StopSamples(id, list, now);
  }
  for (const std::string& id : inbox.cancels) {
    scheduler_.End(id, absl::CancelledError("CANCELLED: the request was cancelled"), now);
  }
  scheduler_.ExpireDeadlines(now);
  if (!inbox.drain_deadline.has_value()) return;
  const auto scope =
      now >= *inbox.drain_deadline ? Scheduler::Scope::kAll : Scheduler::Scope::kUnstarted;
  scheduler_.EndRequests(scope, absl::UnavailableError(kDrained), now);
}

void PagedEngine::Measure(TimePoint begin, TimePoint end) {
  const StepShape& shape = scheduler_.shape();
  ++turn_.steps;
  turn_.last_step_end = end;
  meter_.AddStep(shape, end - begin);
  if (observer_) observer_({end - begin, shape.prefill_tokens, shape.decode_tokens});
}

// Makes the turn visible: cache events and stats first, then the sinks, so that whoever hears of a
// token finds a picture that contains it.
void PagedEngine::Publish() {
  const TimePoint now = clock_.Now();
  log_.Publish();
  const std::vector<Delivery> deliveries = scheduler_.TakeDeliveries();
  std::vector<std::string> ended;
  for (const Delivery& delivery : deliveries) {
    if (delivery.end.has_value()) ended.push_back(delivery.request_id);
  }
  inbox_.Release(ended);
  inbox_.Report(scheduler_.num_unstarted(),
                scheduler_.empty() ? Inbox::Occupancy::kEmpty : Inbox::Occupancy::kBusy);

  const EngineStats stats = Snapshot(now);
  {
    const std::lock_guard lock(stats_mutex_);
    stats_ = stats;
  }
  for (const Delivery& delivery : deliveries) Deliver(delivery);
}

EngineStats PagedEngine::Snapshot(TimePoint now) {
  const SchedulerCounters& counters = scheduler_.counters();
  meter_.AddEnded(counters.blocks_freed - blocks_freed_seen_,
                  counters.requests_ended - requests_ended_seen_, now);
  blocks_freed_seen_ = counters.blocks_freed;
  requests_ended_seen_ = counters.requests_ended;
  EngineStats stats = turn_;
  const SchedulerLoad load = scheduler_.Load(now);
  stats.state = inbox_.state();
  stats.running_sequences = load.running_sequences;
  stats.decoding_sequences = load.decoding_sequences;
  stats.decoding_kv_tokens = load.decoding_kv_tokens;
  stats.waiting_requests = load.waiting_requests;
  stats.waiting_prefill_tokens = load.waiting_prefill_tokens;
  stats.oldest_waiting = load.oldest_waiting;
  stats.blocks_total = cache_.num_blocks();
  stats.blocks_used = cache_.num_held();
  stats.blocks_cached = cache_.num_idle();
  stats.blocks_wanted = load.blocks_wanted;
  meter_.Fill(stats, now);
  stats.requests_finished = counters.requests_finished;
  stats.preemptions = counters.preemptions;
  stats.prefix_lookup_tokens = counters.prefix_lookup_tokens;
  stats.prefix_hit_tokens = counters.prefix_hit_tokens;
  stats.prompt_tokens_computed = counters.prompt_tokens_computed;
  stats.prompt_tokens_cached = counters.prompt_tokens_cached;
  stats.generated_tokens = counters.generated_tokens;
  stats.evicted_blocks = cache_.num_evicted();
  stats.numeric_faults = counters.numeric_faults;
  return stats;
}

// A fault of the executor is final: everything ends, nothing is taken any more.
absl::Status PagedEngine::Fail(const absl::Status& fault) {
  if (fault_.ok()) {
    fault_ = absl::InternalError(absl::StrFormat("ENGINE_FAULT: %s", std::string(fault.message())));
    inbox_.Fail();
  }
  const TimePoint now = clock_.Now();
  for (Submission& submission : inbox_.Take().submissions) {
    scheduler_.Add(std::move(submission.request), std::move(submission.sink), submission.submitted);
  }
  scheduler_.EndRequests(Scheduler::Scope::kAll, fault_, now);
  cache_.Clear();
  Publish();
  return fault_;
}

absl::Status PagedEngine::Submit(Request request, std::shared_ptr<RequestSink> sink) {
  absl::Status status = Validate(request);
  if (!status.ok()) return status;
  Submission submission;
  submission.submitted = clock_.Now();
  if (request.sampling.num_prompt_logprobs.has_value()) {
    submission.logprobs_bytes =
        LogprobsSizeBytes(request.prompt.size(), *request.sampling.num_prompt_logprobs);
  }
  submission.request = std::move(request);
  submission.sink = std::move(sink);
  return inbox_.Submit(std::move(submission));
}

absl::Status PagedEngine::Validate(const Request& request) const {
  const SamplingParams& sampling = request.sampling;
  const int64_t num_prompt = static_cast<int64_t>(request.prompt.size());
  const Bound bounds[] = {
      {"prompt: number of tokens", num_prompt, 1, options_.context_length - 1},
      {"max_tokens", sampling.max_tokens, 1, options_.context_length - num_prompt},
      {"min_tokens", sampling.min_tokens, 0, sampling.max_tokens},
      {"num_samples", sampling.num_samples, 1,
       std::min(options_.num_samples_max, options_.max_running_sequences)},
      {"num_logprobs", sampling.num_logprobs.value_or(0), 0, kernels::kTopLogprobsMax},
      {"num_prompt_logprobs", sampling.num_prompt_logprobs.value_or(0), 0,
       kernels::kTopLogprobsMax},
  };
  absl::Status status = CheckBounds(bounds);
  if (status.ok()) status = CheckTokens("prompt", request.prompt, options_.vocabulary_size);
  if (status.ok()) status = ValidateResume(request);
  if (!status.ok()) return status;
  // The last token drawn is never written. Samples can run one after the other.
  const int64_t num_tokens = num_prompt + sampling.max_tokens - 1;
  const int64_t needed = (num_tokens + options_.block_size - 1) / options_.block_size;
  if (needed <= options_.num_blocks) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrFormat(
      "KV_CAPACITY_EXCEEDED: %d prompt tokens and max_tokens %d need %d blocks, the pool has %d",
      num_prompt, sampling.max_tokens, needed, options_.num_blocks));
}

absl::Status PagedEngine::ValidateResume(const Request& request) const {
  if (request.resume.empty()) return absl::OkStatus();
  const int64_t num_samples = request.sampling.num_samples;
  absl::Status status =
      CheckRange("resume: number of samples", static_cast<int64_t>(request.resume.size()),
                 num_samples, num_samples);
  for (const SampleProgress& progress : request.resume) {
    if (!status.ok()) return status;
    status =
        CheckRange("resume: number of output tokens", static_cast<int64_t>(progress.output.size()),
                   0, request.sampling.max_tokens);
    if (!status.ok()) return status;
    status = CheckTokens("resume", progress.output, options_.vocabulary_size);
  }
  return status;
}

void PagedEngine::Cancel(std::string_view request_id) { inbox_.Cancel(request_id); }

void PagedEngine::StopSamples(std::string_view request_id, std::span<const int32_t> indices) {
  inbox_.StopSamples(request_id, indices);
}

void PagedEngine::Drain(TimePoint deadline) { inbox_.Drain(deadline); }

void PagedEngine::Undrain() { inbox_.Undrain(); }

// After a turn that computed there may be more to do at once; after an idle one only news can be.
void PagedEngine::WaitForWork(Duration timeout) {
  if (!computed_) inbox_.Wait(timeout);
}

EngineStats PagedEngine::Stats() const {
  EngineStats stats;
  {
    const std::lock_guard lock(stats_mutex_);
    stats = stats_;
  }
  stats.state = inbox_.state();
  stats.inbox_rejected = inbox_.num_rejected();
  return stats;
}

void PagedEngine::SetStepObserver(StepObserver observer) { observer_ = std::move(observer); }

uint64_t PagedEngine::CacheSequence() const { return log_.Sequence(); }

bool PagedEngine::ReadCacheEvents(uint64_t next_sequence, size_t bytes_max,
                                  std::vector<CacheEvent>& events) const {
  return log_.Read(next_sequence, bytes_max, events);
}

std::vector<CacheEvent> PagedEngine::CacheSnapshot(uint64_t& sequence) const {
  return log_.Snapshot(sequence);
}

void PagedEngine::CacheChecksum(uint64_t& sequence, uint32_t& num_blocks,
                                BlockHash& hash_xor) const {
  log_.Checksum(sequence, num_blocks, hash_xor);
}

void PagedEngine::CheckInvariants() const { scheduler_.CheckInvariants(); }

}  // namespace banyan::worker
