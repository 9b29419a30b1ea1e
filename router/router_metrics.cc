#include "router/router_metrics.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "router/wire_conversion.h"

namespace banyan::router {
namespace {

constexpr const char* kStageNames[kNumStages] = {"parse", "template", "tokenize", "choose",
                                                 "forward"};
constexpr const char* kRetryCauses[] = {"connect", "unavailable", "rejected"};
// Beyond it further models share one series: names come from workers, which may be many.
constexpr size_t kModelSeriesMax = 64;
constexpr int kStatusCodeMax = 16;
constexpr RoutingReason kRoutingReasons[] = {RoutingReason::kPrefix,        RoutingReason::kLoad,
                                             RoutingReason::kPrefixTooBusy, RoutingReason::kSession,
                                             RoutingReason::kOnlyCandidate, RoutingReason::kRetry,
                                             RoutingReason::kResume,        RoutingReason::kPanic};

std::string CodeName(absl::StatusCode code) {
  return absl::AsciiStrToUpper(absl::StatusCodeToString(code));
}

const char* HealthName(v1::WorkerHealth health) {
  switch (health) {
    case v1::WORKER_HEALTH_HEALTHY:
      return "healthy";
    case v1::WORKER_HEALTH_SLOW_START:
      return "slow_start";
    case v1::WORKER_HEALTH_STALE:
      return "stale";
    case v1::WORKER_HEALTH_EJECTED:
      return "ejected";
    case v1::WORKER_HEALTH_DRAINING:
      return "draining";
    default:
      return "connecting";
  }
}

}  // namespace

const char* OutcomeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return "ok";
    case absl::StatusCode::kCancelled:
      return "cancelled";
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kAlreadyExists:
      return "invalid";
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return "denied";
    case absl::StatusCode::kNotFound:
      return "not_found";
    case absl::StatusCode::kResourceExhausted:
      return "rejected";
    case absl::StatusCode::kDeadlineExceeded:
      return "deadline";
    case absl::StatusCode::kUnavailable:
      return "unavailable";
    default:
      return "internal";
  }
}

RouterMetrics::RouterMetrics(rpc::MetricsRegistry& registry) : registry_(registry) {
  for (int i = 0; i < kNumStages; ++i) {
    stages_[i] = &registry.Histogram("banyan_router_stage_seconds", {{"stage", kStageNames[i]}});
  }
}

const RouterMetrics::RequestSeries& RouterMetrics::ForRequests(const std::string& model,
                                                               const char* request_class) {
  const std::lock_guard lock(mutex_);
  std::string name = model;
  if (!requests_.contains({name, request_class}) && requests_.size() >= kModelSeriesMax) {
    name = "other";
  }
  std::unique_ptr<RequestSeries>& series = requests_[{name, request_class}];
  if (series == nullptr) {
    const rpc::MetricsRegistry::Labels labels = {{"model", name}, {"class", request_class}};
    series = std::make_unique<RequestSeries>(RequestSeries{
        .ttft = &registry_.Histogram("banyan_router_ttft_seconds", labels),
        .itl = &registry_.Histogram("banyan_router_itl_seconds", labels),
        .e2e = &registry_.Histogram("banyan_router_e2e_seconds", labels),
        .prompt_tokens = &registry_.Counter("banyan_router_prompt_tokens_total", labels),
        .cached_tokens = &registry_.Counter("banyan_router_cached_tokens_total", labels),
        .generation_tokens = &registry_.Counter("banyan_router_generation_tokens_total", labels)});
  }
  return *series;
}

void RouterMetrics::AddActive(const char* request_class, int by) {
  registry_.Gauge("banyan_router_requests_active", {{"class", request_class}}).Increment(by);
}

void RouterMetrics::CountRequest(const RequestRecord& record) {
  registry_
      .Counter("banyan_router_requests_total", {{"model", record.model},
                                                {"class", record.request_class},
                                                {"protocol", "grpc"},
                                                {"outcome", OutcomeOf(record.status)}})
      .Increment();
  if (record.prompt_tokens == 0) return;
  const RequestSeries& series = ForRequests(record.model, record.request_class);
  series.e2e->Observe(ToSeconds(record.e2e));
  series.prompt_tokens->Increment(record.prompt_tokens);
  series.cached_tokens->Increment(record.cached_tokens);
  series.generation_tokens->Increment(record.output_tokens);
  registry_.Histogram("banyan_router_request_prompt_tokens", {{"model", record.model}})
      .Observe(record.prompt_tokens);
  registry_.Histogram("banyan_router_request_output_tokens", {{"model", record.model}})
      .Observe(static_cast<double>(record.output_tokens) / record.num_samples);
}

void RouterMetrics::ObserveStage(Stage stage, Duration time) {
  stages_[static_cast<int>(stage)]->Observe(ToSeconds(time));
}

void RouterMetrics::CountDecision(const std::string& pool, RoutingReason reason,
                                  uint32_t expected_cached) {
  registry_.Counter("banyan_router_decisions_total", {{"pool", pool}, {"reason", NameOf(reason)}})
      .Increment();
  registry_.Counter("banyan_router_expected_cached_tokens_total", {{"pool", pool}})
      .Increment(expected_cached);
}

void RouterMetrics::ObservePrediction(const std::string& pool, double ratio) {
  registry_.Histogram("banyan_router_ttft_prediction_ratio", {{"pool", pool}}).Observe(ratio);
}

void RouterMetrics::CountRetry(const std::string& pool, RetryCause cause) {
  registry_
      .Counter("banyan_router_retries_total",
               {{"pool", pool}, {"cause", kRetryCauses[static_cast<int>(cause)]}})
      .Increment();
}

void RouterMetrics::SetRetryBudget(double ratio) {
  registry_.Gauge("banyan_router_retry_budget_ratio").Set(ratio);
}

void RouterMetrics::CountWorkerError(const std::string& pool, const std::string& worker,
                                     absl::StatusCode code) {
  const std::lock_guard lock(mutex_);
  // A worker that left has no series any more, and gets none.
  if (!workers_.contains({pool, worker})) return;
  registry_
      .Counter("banyan_router_worker_errors_total",
               {{"pool", pool}, {"worker", worker}, {"code", CodeName(code)}})
      .Increment();
}

void RouterMetrics::CountResync(const std::string& pool, const std::string& worker,
                                ResyncCause cause) {
  const std::lock_guard lock(mutex_);
  if (!workers_.contains({pool, worker})) return;
  registry_
      .Counter("banyan_router_worker_resyncs_total",
               {{"pool", pool}, {"worker", worker}, {"cause", std::string(NameOf(cause))}})
      .Increment();
}

void RouterMetrics::CountSlowReader() {
  registry_.Counter("banyan_router_slow_readers_total").Increment();
}

void RouterMetrics::CountGrpcCall(const std::string& method, absl::StatusCode code) {
  registry_
      .Counter("banyan_router_grpc_calls_total", {{"method", method}, {"code", CodeName(code)}})
      .Increment();
}

void RouterMetrics::SetDraining(bool draining) {
  registry_.Gauge("banyan_router_draining").Set(draining ? 1 : 0);
}

void RouterMetrics::SetTree(size_t runs, size_t bytes, size_t bytes_max, uint64_t evictions) {
  registry_.Gauge("banyan_router_tree_nodes").Set(static_cast<double>(runs));
  registry_.Gauge("banyan_router_tree_bytes").Set(static_cast<double>(bytes));
  registry_.Gauge("banyan_router_tree_bytes_max").Set(static_cast<double>(bytes_max));
  rpc::RaiseTo(registry_.Counter("banyan_router_tree_evictions_total"),
               static_cast<double>(evictions));
}

void RouterMetrics::CreatePoolSeries(const std::string& pool) {
  for (const char* cause : kRetryCauses) {
    registry_.Counter("banyan_router_retries_total", {{"pool", pool}, {"cause", cause}});
  }
  for (const RoutingReason reason : kRoutingReasons) {
    registry_.Counter("banyan_router_decisions_total",
                      {{"pool", pool}, {"reason", NameOf(reason)}});
  }
  registry_.Counter("banyan_router_expected_cached_tokens_total", {{"pool", pool}});
  registry_.Histogram("banyan_router_ttft_prediction_ratio", {{"pool", pool}});
}

void RouterMetrics::SetWorkers(std::span<const v1::Worker> workers) {
  const std::lock_guard lock(mutex_);
  std::map<std::pair<std::string, std::string>, int> counts;
  std::set<std::pair<std::string, std::string>> present;
  for (const v1::Worker& worker : workers) {
    if (pools_.insert(worker.pool()).second) CreatePoolSeries(worker.pool());
    ++counts[{worker.pool(), HealthName(worker.health())}];
    if (worker.info().worker_id().empty()) continue;
    const rpc::MetricsRegistry::Labels labels = {{"pool", worker.pool()},
                                                 {"worker", worker.info().worker_id()}};
    present.emplace(worker.pool(), worker.info().worker_id());
    for (int cause = 0; cause < kNumResyncCauses; ++cause) {
      rpc::MetricsRegistry::Labels with_cause = labels;
      with_cause["cause"] = std::string(NameOf(static_cast<ResyncCause>(cause)));
      registry_.Counter("banyan_router_worker_resyncs_total", with_cause);
    }
    registry_.Gauge("banyan_router_worker_active_streams", labels).Set(worker.active_streams());
    registry_.Gauge("banyan_router_worker_load_age_seconds", labels)
        .Set(static_cast<double>(worker.load_age_us()) * 1e-6);
    registry_.Gauge("banyan_router_worker_tree_blocks", labels)
        .Set(static_cast<double>(worker.tree_blocks()));
  }
  for (const std::string& pool : pools_) {
    for (const v1::WorkerHealth health :
         {v1::WORKER_HEALTH_CONNECTING, v1::WORKER_HEALTH_HEALTHY, v1::WORKER_HEALTH_SLOW_START,
          v1::WORKER_HEALTH_STALE, v1::WORKER_HEALTH_EJECTED, v1::WORKER_HEALTH_DRAINING}) {
      registry_.Gauge("banyan_router_workers", {{"pool", pool}, {"health", HealthName(health)}})
          .Set(counts[{pool, HealthName(health)}]);
    }
  }
  for (const auto& [pool, worker] : workers_) {
    if (present.contains({pool, worker})) continue;
    const rpc::MetricsRegistry::Labels labels = {{"pool", pool}, {"worker", worker}};
    registry_.Remove("banyan_router_worker_active_streams", labels);
    registry_.Remove("banyan_router_worker_load_age_seconds", labels);
    registry_.Remove("banyan_router_worker_tree_blocks", labels);
    for (int cause = 0; cause < kNumResyncCauses; ++cause) {
      rpc::MetricsRegistry::Labels with_cause = labels;
      with_cause["cause"] = std::string(NameOf(static_cast<ResyncCause>(cause)));
      registry_.Remove("banyan_router_worker_resyncs_total", with_cause);
    }
    for (int code = 1; code <= kStatusCodeMax; ++code) {
      rpc::MetricsRegistry::Labels with_code = labels;
      with_code["code"] = CodeName(static_cast<absl::StatusCode>(code));
      registry_.Remove("banyan_router_worker_errors_total", with_code);
    }
  }
  workers_ = std::move(present);
}

}  // namespace banyan::router
