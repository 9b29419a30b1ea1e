// The router's metrics page: the list, and what the rest of the router reports to it. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "banyan/v1/cluster_service.pb.h"
#include "common/base/clock.h"
#include "common/rpc/metrics.h"
#include "router/routing/cache_follower.h"
#include "router/routing/routing_policy.h"

namespace banyan::router {

// Every banyan_router_* metric of the page. Features that do not exist yet have no metric.
std::span<const rpc::MetricSpec> RouterMetricSpecs();

// Label value `outcome` of a request that ended with `status`.
const char* OutcomeOf(const absl::Status& status);

enum class Stage { kParse, kTemplate, kTokenize, kChoose, kForward };
inline constexpr int kNumStages = 5;

enum class RetryCause { kConnect, kUnavailable, kRejected };

// What one request adds to its model's series when it ends.
struct RequestRecord {
  std::string model;  // as served; "other" for what is not
  const char* request_class = "interactive";
  absl::Status status;
  uint32_t prompt_tokens = 0;
  uint32_t cached_tokens = 0;
  uint32_t output_tokens = 0;
  uint32_t num_samples = 1;
  Duration e2e{0};
};

class RouterMetrics {
 public:
  // Series of one model and class.
  struct RequestSeries {
    prometheus::Histogram* ttft;
    prometheus::Histogram* itl;
    prometheus::Histogram* e2e;
    prometheus::Counter* prompt_tokens;
    prometheus::Counter* cached_tokens;
    prometheus::Counter* generation_tokens;
  };

  // `registry` holds RouterMetricSpecs() and outlives this object.
  explicit RouterMetrics(rpc::MetricsRegistry& registry);

  // Stays valid; look it up once per request.
  const RequestSeries& ForRequests(const std::string& model, const char* request_class);
  void AddActive(const char* request_class, int by);
  void CountRequest(const RequestRecord& record);
  void ObserveStage(Stage stage, Duration time);
  void CountDecision(const std::string& pool, RoutingReason reason, uint32_t expected_cached);
  // Actual over expected time to first token.
  void ObservePrediction(const std::string& pool, double ratio);
  void CountRetry(const std::string& pool, RetryCause cause);
  void SetRetryBudget(double ratio);
  void CountWorkerError(const std::string& pool, const std::string& worker, absl::StatusCode code);
  void CountResync(const std::string& pool, const std::string& worker, ResyncCause cause);
  void CountSlowReader();
  void CountGrpcCall(const std::string& method, absl::StatusCode code);
  void SetDraining(bool draining);

  void SetTree(size_t runs, size_t bytes, size_t bytes_max, uint64_t evictions);
  // Writes the series of these workers and drops those of workers that left. Counters over closed
  // lists begin at 0 here, when their pool or worker is first seen, so that rates have data.
  void SetWorkers(std::span<const v1::Worker> workers);

 private:
  void CreatePoolSeries(const std::string& pool);

  rpc::MetricsRegistry& registry_;
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<RequestSeries>> requests_;
  std::set<std::pair<std::string, std::string>> workers_;  // pool and id with series
  std::set<std::string> pools_;                            // with worker counts
  prometheus::Histogram* stages_[kNumStages];
};

}  // namespace banyan::router
