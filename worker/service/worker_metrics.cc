#include "worker/service/worker_metrics.h"

#include <chrono>

#include "common/rpc/process_stats.h"

namespace banyan::worker {
namespace {

using rpc::RaiseTo;

constexpr std::array<const char*, 7> kOutcomes = {"ok",       "cancelled", "invalid", "rejected",
                                                  "deadline", "drained",   "internal"};
constexpr std::array<const char*, 3> kFinishReasons = {"none", "stop", "length"};
constexpr std::array<const char*, kNumPriorities> kClasses = {"realtime", "interactive", "batch"};
constexpr std::array<const char*, 3> kPhases = {"prefill", "decode", "mixed"};
constexpr std::array<const char*, 4> kCacheKinds = {"stored", "removed", "cleared", "snapshot"};

}  // namespace

const char* RequestOutcomeName(RequestOutcome outcome) {
  return kOutcomes[static_cast<size_t>(outcome)];
}

RequestOutcome OutcomeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return RequestOutcome::kOk;
    case absl::StatusCode::kCancelled:
      return RequestOutcome::kCancelled;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kUnimplemented:
      return RequestOutcome::kInvalid;
    case absl::StatusCode::kResourceExhausted:
      return RequestOutcome::kRejected;
    case absl::StatusCode::kDeadlineExceeded:
      return RequestOutcome::kDeadline;
    case absl::StatusCode::kUnavailable:
      return RequestOutcome::kDrained;
    default:
      return RequestOutcome::kInternal;
  }
}

// What Refresh copies from the engine's stats.
struct WorkerMetrics::EngineSeries {
  explicit EngineSeries(rpc::MetricsRegistry& registry)
      : running(registry.Gauge("banyan_worker_running_sequences")),
        waiting(registry.Gauge("banyan_worker_waiting_requests")),
        waiting_prefill_tokens(registry.Gauge("banyan_worker_waiting_prefill_tokens")),
        oldest_waiting(registry.Gauge("banyan_worker_oldest_waiting_seconds")),
        blocks_used(registry.Gauge("banyan_worker_kv_blocks", {{"state", "used"}})),
        blocks_cached(registry.Gauge("banyan_worker_kv_blocks", {{"state", "cached"}})),
        blocks_free(registry.Gauge("banyan_worker_kv_blocks", {{"state", "free"}})),
        utilization(registry.Gauge("banyan_worker_kv_utilization_ratio")),
        draining(registry.Gauge("banyan_worker_draining")),
        rank_up(registry.Gauge("banyan_worker_rank_up", {{"rank", "0"}})),
        last_step(registry.Gauge("banyan_worker_last_step_timestamp_seconds")),
        host_bytes(registry.Gauge("banyan_worker_memory_bytes", {{"kind", "host"}})),
        inbox_rejected(registry.Counter("banyan_worker_inbox_rejected_total")),
        prompt_computed(
            registry.Counter("banyan_worker_prompt_tokens_total", {{"source", "computed"}})),
        prompt_cached(
            registry.Counter("banyan_worker_prompt_tokens_total", {{"source", "cached"}})),
        generated(registry.Counter("banyan_worker_generation_tokens_total")),
        lookup(registry.Counter("banyan_worker_prefix_lookup_tokens_total")),
        hit(registry.Counter("banyan_worker_prefix_hit_tokens_total")),
        evicted(registry.Counter("banyan_worker_cache_evicted_blocks_total")),
        preemptions(registry.Counter("banyan_worker_preemptions_total")),
        steps(registry.Counter("banyan_worker_steps_total")),
        heartbeats(registry.Counter("banyan_worker_heartbeats_total")),
        numeric_faults(registry.Counter("banyan_worker_numeric_faults_total")) {}

  void CopyGauges(const EngineStats& stats, TimePoint now) {
    running.Set(stats.running_sequences);
    waiting.Set(stats.waiting_requests);
    waiting_prefill_tokens.Set(static_cast<double>(stats.waiting_prefill_tokens));
    oldest_waiting.Set(ToSeconds(stats.oldest_waiting));
    blocks_used.Set(stats.blocks_used);
    blocks_cached.Set(stats.blocks_cached);
    blocks_free.Set(stats.blocks_total - stats.blocks_used - stats.blocks_cached);
    utilization.Set(
        stats.blocks_total == 0 ? 0 : static_cast<double>(stats.blocks_used) / stats.blocks_total);
    draining.Set(stats.state == EngineState::kDraining ? 1 : 0);
    rank_up.Set(stats.state == EngineState::kFailed ? 0 : 1);
    host_bytes.Set(rpc::ReadProcessStats().resident_bytes);
    if (stats.steps > 0) {
      const auto end = std::chrono::system_clock::now() - (now - stats.last_step_end);
      last_step.Set(std::chrono::duration<double>(end.time_since_epoch()).count());
    }
  }

  void CopyCounters(const EngineStats& stats) {
    const auto raise = [](prometheus::Counter& counter, uint64_t value) {
      RaiseTo(counter, static_cast<double>(value));
    };
    raise(inbox_rejected, stats.inbox_rejected);
    raise(prompt_computed, stats.prompt_tokens_computed);
    raise(prompt_cached, stats.prompt_tokens_cached);
    raise(generated, stats.generated_tokens);
    raise(lookup, stats.prefix_lookup_tokens);
    raise(hit, stats.prefix_hit_tokens);
    raise(evicted, stats.evicted_blocks);
    raise(preemptions, stats.preemptions);
    raise(steps, stats.steps);
    raise(heartbeats, stats.heartbeats);
    raise(numeric_faults, stats.numeric_faults);
  }

  prometheus::Gauge& running;
  prometheus::Gauge& waiting;
  prometheus::Gauge& waiting_prefill_tokens;
  prometheus::Gauge& oldest_waiting;
  prometheus::Gauge& blocks_used;
  prometheus::Gauge& blocks_cached;
  prometheus::Gauge& blocks_free;
  prometheus::Gauge& utilization;
  prometheus::Gauge& draining;
  prometheus::Gauge& rank_up;
  prometheus::Gauge& last_step;
  prometheus::Gauge& host_bytes;
  prometheus::Counter& inbox_rejected;
  prometheus::Counter& prompt_computed;
  prometheus::Counter& prompt_cached;
  prometheus::Counter& generated;
  prometheus::Counter& lookup;
  prometheus::Counter& hit;
  prometheus::Counter& evicted;
  prometheus::Counter& preemptions;
  prometheus::Counter& steps;
  prometheus::Counter& heartbeats;
  prometheus::Counter& numeric_faults;
};

WorkerMetrics::WorkerMetrics(rpc::MetricsRegistry& registry)
    : registry_(registry),
      cache_watchers_(&registry.Gauge("banyan_worker_cache_watchers")),
      engine_series_(std::make_unique<EngineSeries>(registry)) {
  for (size_t i = 0; i < kClasses.size(); ++i) {
    const rpc::MetricsRegistry::Labels labels = {{"class", kClasses[i]}};
    classes_[i] = {.queue = &registry.Histogram("banyan_worker_queue_seconds", labels),
                   .prefill = &registry.Histogram("banyan_worker_prefill_seconds", labels),
                   .decode = &registry.Histogram("banyan_worker_decode_seconds", labels),
                   .ttft = &registry.Histogram("banyan_worker_ttft_seconds", labels),
                   .itl = &registry.Histogram("banyan_worker_itl_seconds", labels),
                   .e2e = &registry.Histogram("banyan_worker_e2e_seconds", labels)};
  }
  for (size_t i = 0; i < kPhases.size(); ++i) {
    const rpc::MetricsRegistry::Labels labels = {{"phase", kPhases[i]}};
    phases_[i] = {.seconds = &registry.Histogram("banyan_worker_step_seconds", labels),
                  .tokens = &registry.Histogram("banyan_worker_step_tokens", labels)};
  }
  for (size_t i = 0; i < kOutcomes.size(); ++i) {
    for (size_t j = 0; j < kFinishReasons.size(); ++j) {
      requests_[i][j] =
          &registry.Counter("banyan_worker_requests_total",
                            {{"outcome", kOutcomes[i]}, {"finish_reason", kFinishReasons[j]}});
    }
  }
  for (size_t i = 0; i < kCacheKinds.size(); ++i) {
    cache_events_[i] =
        &registry.Counter("banyan_worker_cache_events_total", {{"kind", kCacheKinds[i]}});
  }
  registry.AddRefresh([this] { Refresh(); });
}

WorkerMetrics::~WorkerMetrics() = default;

void WorkerMetrics::AttachEngine(const Engine& engine, const Clock& clock) {
  const std::lock_guard lock(engine_mutex_);
  engine_ = &engine;
  clock_ = &clock;
}

void WorkerMetrics::DetachEngine() {
  const std::lock_guard lock(engine_mutex_);
  engine_ = nullptr;
}

void WorkerMetrics::Refresh() {
  const std::lock_guard lock(engine_mutex_);
  if (engine_ == nullptr) return;
  const EngineStats stats = engine_->Stats();
  engine_series_->CopyGauges(stats, clock_->Now());
  engine_series_->CopyCounters(stats);
}

void WorkerMetrics::SetInfo(const WorkerIdentity& identity) {
  registry_
      .Gauge("banyan_worker_info", {{"worker", identity.worker_id},
                                    {"model", identity.model},
                                    {"weight_format", identity.weight_format},
                                    {"kv_format", identity.kv_format},
                                    {"backend", identity.backend},
                                    {"tp_size", "1"},
                                    {"block_size_tokens", std::to_string(identity.block_size)},
                                    {"num_kv_blocks", std::to_string(identity.num_blocks)},
                                    {"fingerprint", identity.model_fingerprint}})
      .Set(1);
}

void WorkerMetrics::SetMemory(const MemoryUse& use) {
  registry_.Gauge("banyan_worker_memory_bytes", {{"kind", "weights"}}).Set(use.weights);
  registry_.Gauge("banyan_worker_memory_bytes", {{"kind", "kv"}}).Set(use.kv);
  registry_.Gauge("banyan_worker_memory_bytes", {{"kind", "workspace"}}).Set(use.workspace);
}

void WorkerMetrics::SetLoadTimes(const LoadTimes& times) {
  registry_.Gauge("banyan_worker_load_seconds", {{"phase", "read"}}).Set(times.read_s);
  registry_.Gauge("banyan_worker_load_seconds", {{"phase", "convert"}}).Set(times.convert_s);
  registry_.Gauge("banyan_worker_load_seconds", {{"phase", "warmup"}}).Set(times.warmup_s);
}

void WorkerMetrics::ObserveStep(const StepObservation& step) {
  const size_t phase = step.decode_tokens == 0 ? 0 : step.prefill_tokens == 0 ? 1 : 2;
  phases_[phase].seconds->Observe(ToSeconds(step.duration));
  phases_[phase].tokens->Observe(step.prefill_tokens + step.decode_tokens);
}

void WorkerMetrics::CountRequest(RequestOutcome outcome, FinishReason finish_reason) {
  requests_[static_cast<size_t>(outcome)][static_cast<size_t>(finish_reason)]->Increment();
}

void WorkerMetrics::ObserveRequest(Priority priority, const RequestTiming& timing,
                                   Duration end_to_end) {
  ClassSeries& series = Class(priority);
  series.queue->Observe(ToSeconds(timing.queue));
  series.prefill->Observe(ToSeconds(timing.prefill));
  series.decode->Observe(ToSeconds(timing.decode));
  series.e2e->Observe(ToSeconds(end_to_end));
}

void WorkerMetrics::ObserveFirstToken(Priority priority, Duration since_arrival) {
  Class(priority).ttft->Observe(ToSeconds(since_arrival));
}

void WorkerMetrics::ObserveGap(Priority priority, Duration since_last_message) {
  Class(priority).itl->Observe(ToSeconds(since_last_message));
}

void WorkerMetrics::CountCacheEvents(CacheEventKind kind, int64_t num_blocks) {
  cache_events_[static_cast<size_t>(kind)]->Increment(static_cast<double>(num_blocks));
}

void WorkerMetrics::AddCacheWatcher(int by) { cache_watchers_->Increment(by); }

}  // namespace banyan::worker
