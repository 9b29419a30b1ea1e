// The worker's metrics page: every series resolved once. Thread-safe.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "common/rpc/metrics.h"
#include "worker/engine/engine.h"
#include "worker/service/worker_identity.h"

namespace banyan::worker {

// Every banyan_worker_* metric of the page. Features that do not exist yet have no metric.
std::span<const rpc::MetricSpec> WorkerMetricSpecs();

enum class RequestOutcome { kOk, kCancelled, kInvalid, kRejected, kDeadline, kDrained, kInternal };
const char* RequestOutcomeName(RequestOutcome outcome);
RequestOutcome OutcomeOf(const absl::Status& status);

enum class CacheEventKind { kStored, kRemoved, kCleared, kSnapshot };

// Bytes held, for banyan_worker_memory_bytes.
struct MemoryUse {
  double weights = 0;
  double kv = 0;
  double workspace = 0;
};

// Seconds of start-up, for banyan_worker_load_seconds.
struct LoadTimes {
  double read_s = 0;
  double convert_s = 0;
  double warmup_s = 0;
};

class WorkerMetrics {
 public:
  // `registry` holds WorkerMetricSpecs() and outlives this object.
  explicit WorkerMetrics(rpc::MetricsRegistry& registry);
  ~WorkerMetrics();

  // Mirrors the engine's stats into the page before each scrape. The engine must outlive the
  // registry's last scrape, or DetachEngine be called.
  void AttachEngine(const Engine& engine, const Clock& clock);
  void DetachEngine();

  void SetInfo(const WorkerIdentity& identity);
  void SetMemory(const MemoryUse& use);
  void SetLoadTimes(const LoadTimes& times);

  void ObserveStep(const StepObservation& step);
  void CountRequest(RequestOutcome outcome, FinishReason finish_reason);
  // Times of a request that ended OK, seconds, by its class.
  void ObserveRequest(Priority priority, const RequestTiming& timing, Duration end_to_end);
  void ObserveFirstToken(Priority priority, Duration since_arrival);
  void ObserveGap(Priority priority, Duration since_last_message);
  void CountCacheEvents(CacheEventKind kind, int64_t num_blocks);
  void AddCacheWatcher(int by);

 private:
  struct ClassSeries {
    prometheus::Histogram* queue;
    prometheus::Histogram* prefill;
    prometheus::Histogram* decode;
    prometheus::Histogram* ttft;
    prometheus::Histogram* itl;
    prometheus::Histogram* e2e;
  };
  struct PhaseSeries {
    prometheus::Histogram* seconds;
    prometheus::Histogram* tokens;
  };
  struct EngineSeries;

  void Refresh();
  ClassSeries& Class(Priority priority) { return classes_[static_cast<size_t>(priority)]; }

  rpc::MetricsRegistry& registry_;
  std::array<ClassSeries, kNumPriorities> classes_;
  std::array<PhaseSeries, 3> phases_;                            // prefill, decode, mixed
  std::array<std::array<prometheus::Counter*, 3>, 7> requests_;  // [outcome][finish reason]
  std::array<prometheus::Counter*, 4> cache_events_;
  prometheus::Gauge* cache_watchers_;
  std::unique_ptr<EngineSeries> engine_series_;

  std::mutex engine_mutex_;
  const Engine* engine_ = nullptr;
  const Clock* clock_ = nullptr;
};

}  // namespace banyan::worker
