// All workers this router knows, and the pools they form. Static addresses, names that DNS
// resolves, and what an operator adds; one thread drives the connections. Thread-safe.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "router/dns_discovery.h"
#include "router/router_metrics.h"
#include "router/worker_connection.h"

namespace banyan::router {

// Builds the text side of a model from its card; TextModel::Load, or a test's own.
using TextModelLoader =
    std::function<absl::StatusOr<std::shared_ptr<const TextModel>>(const TextAssets&)>;

inline constexpr size_t kWorkersMax = 1024;

class WorkerRegistry final : public WorkerAdmission {
 public:
  struct Options {
    std::string pool_label = "default";
    // block_size is each pool's own.
    RoutingPool::Options routing = {};  // the tree's bound holds for each model
    TextModelLoader load_text_model = {};
    Duration tick = std::chrono::milliseconds(100);
  };

  WorkerRegistry(Options options, const Clock& clock, WorkPool& work_pool, RouterMetrics& metrics);
  // Closes all connections and waits for their callbacks.
  ~WorkerRegistry() override;

  // "host:port", or "dns:///name:port" to follow a name. INVALID_ARGUMENT for anything else.
  absl::Status AddTarget(const std::string& target);
  // ALREADY_EXISTS for an address that is known.
  absl::StatusOr<std::shared_ptr<WorkerConnection>> AddWorker(const std::string& address,
                                                              const std::string& pool_label);
  // NOT_FOUND for an unknown id.
  absl::Status RemoveWorker(const std::string& worker_id);
  std::shared_ptr<WorkerConnection> FindWorker(const std::string& worker_id) const;

  // The pool behind a model's name; the only one where `model` is empty. NOT_FOUND, or
  // INVALID_ARGUMENT where the name is needed.
  absl::StatusOr<std::shared_ptr<ModelPool>> FindModel(const std::string& model) const;
  // Sorted by model.
  std::vector<std::shared_ptr<ModelPool>> Pools() const;
  // Sorted by pool, then id.
  std::vector<v1::Worker> DescribeWorkers() const;
  v1::TreeState DescribeTree() const;
  uint32_t num_ready_workers() const;

  uint64_t router_id() const { return shared_.router_id; }
  PendingOperations& pending() { return pending_; }

  bool NeedsCard(const v1::GetWorkerInfoResponse& info) override;
  absl::Status AddCard(const v1::GetWorkerInfoResponse& info, const TextAssets& assets) override;
  absl::StatusOr<Place> Admit(const v1::GetWorkerInfoResponse& info, const std::string& address,
                              const std::string& pool_label,
                              const std::optional<Place>& previous) override;
  void OnResync(ModelPool& pool, const std::string& worker_id, ResyncCause cause) override;

 private:
  void Run();
  void Discover(const std::vector<std::string>& addresses);
  std::vector<std::shared_ptr<WorkerConnection>> Connections() const;
  absl::Status CheckAgainst(const ModelPool& pool, const v1::GetWorkerInfoResponse& info) const;
  void RefreshMetrics();

  const Options options_;
  const Clock& clock_;
  RouterMetrics& metrics_;
  PendingOperations pending_;
  WorkerConnection::Shared shared_;

  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<WorkerConnection>> connections_;
  std::map<std::string, std::shared_ptr<ModelPool>> pools_;              // by model
  std::map<std::string, std::shared_ptr<const TextModel>> text_models_;  // by card digest
  std::map<std::string, std::string> addresses_;                         // by worker id
  std::vector<std::string> discovered_;  // addresses that came from DNS
  bool stopping_ = false;
  std::condition_variable stop_;
  std::vector<std::unique_ptr<DnsDiscovery>> discoveries_;
  std::thread thread_;
};

}  // namespace banyan::router
