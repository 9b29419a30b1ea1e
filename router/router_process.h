// The whole router, put together: ports, services, workers, health, drain. Start and destroy it on
// one thread; RequestStop and the services' calls may come from any.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "common/rpc/exit_code.h"
#include "common/rpc/health.h"
#include "common/rpc/metrics.h"
#include "common/rpc/server.h"
#include "router/cluster_service.h"
#include "router/inference_service.h"
#include "router/router_options.h"

namespace banyan::router {

class RouterProcess {
 public:
  // Opens all ports and begins to look for workers. The error says what is wrong in one sentence.
  // `load_text_model` builds the text side of a model from its card.
  static absl::StatusOr<std::unique_ptr<RouterProcess>> Start(const RouterOptions& options,
                                                              TextModelLoader load_text_model);
  ~RouterProcess();

  // Writes the port file and logs router_ready. Apart from Start, so that whoever acts on it (a
  // signal, say) finds the process there. INVALID_ARGUMENT when the port file cannot be written.
  absl::Status Announce();

  // Readiness falls at once; after `drain_admit_ms` nothing more is admitted.
  void BeginDrain();
  // Drains, then lets Run return. `kNow` ends what is open.
  enum class StopMode { kDrain, kNow };
  void RequestStop(StopMode mode);
  // Returns when a stop was asked for and is done.
  rpc::ExitCode Run();

  const rpc::ListenAddress& address() const { return server_->address(); }
  const rpc::ListenAddress& admin_address() const { return admin_server_->address(); }
  const rpc::ListenAddress& health_address() const { return health_server_->address(); }
  // Empty where there is no such port.
  std::string metrics_address() const {
    return metrics_server_ == nullptr ? std::string() : metrics_server_->address().ToString();
  }
  WorkerRegistry& registry() { return *registry_; }
  rpc::MetricsRegistry& metrics_registry() { return *metrics_registry_; }
  rpc::HealthBoard& health() { return board_; }

 private:
  explicit RouterProcess(const RouterOptions& options) : options_(options) {}

  void CreateParts(TextModelLoader load_text_model, std::string cluster_secret);
  absl::Status OpenPorts();
  absl::Status WritePortFile() const;
  void Maintain();
  void UpdateHealth();

  const RouterOptions options_;
  rpc::HealthBoard board_;
  std::shared_ptr<rpc::MetricsRegistry> metrics_registry_;
  std::unique_ptr<RouterMetrics> metrics_;
  std::unique_ptr<WorkPool> work_pool_;
  std::unique_ptr<RetryBudget> retry_budget_;
  std::unique_ptr<ActiveRequests> active_;
  std::unique_ptr<WorkerRegistry> registry_;
  std::unique_ptr<ServiceContext> context_;
  std::unique_ptr<InferenceService> inference_;
  std::unique_ptr<ClusterService> cluster_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<rpc::Server> admin_server_;
  std::unique_ptr<rpc::Server> health_server_;
  std::unique_ptr<rpc::MetricsServer> metrics_server_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<TimePoint> drain_began_;
  bool stopping_ = false;  // Run is to return
  bool stop_now_ = false;  // without waiting
  bool ending_ = false;    // the maintenance thread is to end
  std::thread maintenance_;
};

}  // namespace banyan::router
