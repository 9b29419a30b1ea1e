// A whole worker: ports, model, engine thread, service. What banyan-worker runs, and tests too.
//
// Start opens the health and metrics ports first (probes see "loading"), then loads the model, then
// opens the worker port. Announce tells the world. RequestStop is thread-safe; all else belongs to
// one thread.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rpc/exit_code.h"
#include "common/rpc/server.h"
#include "worker/engine/engine.h"
#include "worker/service/engine_loop.h"
#include "worker/service/health_monitor.h"
#include "worker/service/loaded_model.h"
#include "worker/service/worker_service.h"

namespace banyan::worker {

class WorkerProcess {
 public:
  // Ready to serve, or why not: one sentence for the operator. ExitCodeOf() gives the exit code.
  static absl::StatusOr<std::unique_ptr<WorkerProcess>> Start(const WorkerOptions& options);
  // Ends without a drain where Run was not called.
  ~WorkerProcess();

  // Writes the port file, logs worker_ready and turns health to SERVING. Apart from Start, so that
  // whoever acts on it (a signal, say) finds the process there. INVALID_ARGUMENT when the port file
  // cannot be written.
  absl::Status Announce();

  // Serves until a stop is requested and the drain is over, or the engine fails.
  rpc::ExitCode Run();

  enum class StopMode {
    kFinish,    // Drain(FINISH) with --drain-deadline-s
    kHandOver,  // Drain(HAND_OVER)
  };
  void RequestStop(StopMode mode);

  const rpc::ListenAddress& address() const { return server_->address(); }
  const rpc::ListenAddress& health_address() const { return health_server_->address(); }
  const rpc::ListenAddress& metrics_address() const { return metrics_server_->address(); }
  const WorkerIdentity& identity() const { return loaded_.identity; }
  const rpc::MetricsRegistry& metrics() const { return *registry_; }
  const Engine& engine() const { return *engine_; }

 private:
  explicit WorkerProcess(const WorkerOptions& options);

  absl::Status OpenProbePorts(const rpc::ListenAddress& health, const rpc::ListenAddress& metrics);
  absl::Status CreateEngine();
  absl::Status Serve(const rpc::ListenAddress& address);
  absl::Status WritePortFile() const;
  void LogReady() const;
  void OnEngineFailure(const absl::Status& status);

  const WorkerOptions options_;
  rpc::HealthBoard board_;
  std::shared_ptr<rpc::MetricsRegistry> registry_;
  std::unique_ptr<WorkerMetrics> metrics_;
  std::unique_ptr<rpc::Server> health_server_;
  std::unique_ptr<rpc::MetricsServer> metrics_server_;

  LoadedModel loaded_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<WatcherHub> hub_;
  std::unique_ptr<HealthMonitor> health_monitor_;
  std::unique_ptr<WorkerService> service_;
  std::unique_ptr<EngineLoop> loop_;
  std::unique_ptr<rpc::Server> server_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  TimePoint give_up_{};  // when an engine that does not drain is left behind
  std::optional<absl::Status> failure_;
};

}  // namespace banyan::worker
