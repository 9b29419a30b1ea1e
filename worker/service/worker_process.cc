#include "worker/service/worker_process.h"

#include <unistd.h>

#include <array>
#include <filesystem>
#include <utility>

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/rpc/port_file.h"
#include "common/rpc/request_id.h"

namespace banyan::worker {
namespace {

// Beyond the drain's own deadline, for the hand-over and for slow readers.
constexpr Duration kDrainGrace = std::chrono::seconds(15);
// For answers that wait for a slow reader when the engine is empty already.
constexpr Duration kAnswerGrace = std::chrono::seconds(5);
// For the last bytes to leave, and for clients to close their connections.
constexpr Duration kShutdownGrace = std::chrono::milliseconds(250);
constexpr Duration kPollPeriod = std::chrono::milliseconds(20);

std::string HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "worker";
  return name.data();
}

EngineOptions MakeEngineOptions(const WorkerOptions& options, const LoadedModel& loaded) {
  const WorkerIdentity& identity = loaded.identity;
  EngineOptions engine;
  engine.block_size = identity.block_size;
  engine.num_blocks = identity.num_blocks;
  engine.context_length = identity.context_length;
  engine.vocabulary_size = identity.vocabulary_size;
  engine.max_step_tokens = identity.max_step_tokens;
  engine.max_running_sequences = identity.max_running_sequences;
  engine.max_waiting_requests = identity.max_waiting_requests;
  engine.num_samples_max = loaded.limits.num_samples_max;
  engine.eos_token_ids = loaded.eos_token_ids;
  engine.prefix_cache = !options.no_prefix_cache;
  return engine;
}

}  // namespace

WorkerProcess::WorkerProcess(const WorkerOptions& options) : options_(options) {}

absl::StatusOr<std::unique_ptr<WorkerProcess>> WorkerProcess::Start(const WorkerOptions& options) {
  BANYAN_RETURN_IF_ERROR(CheckOptions(options));
  BANYAN_ASSIGN_OR_RETURN(const rpc::ListenAddress address,
                          rpc::ParseListenAddress(options.listen, "--listen"));
  BANYAN_ASSIGN_OR_RETURN(const rpc::ListenAddress health,
                          rpc::ParseListenAddress(options.health_listen, "--health-listen"));
  BANYAN_ASSIGN_OR_RETURN(const rpc::ListenAddress metrics,
                          rpc::ParseListenAddress(options.metrics_listen, "--metrics-listen"));
  BANYAN_RETURN_IF_ERROR(rpc::CheckExposure(address, options.security()));
  // A taken port must not be found out after minutes of loading.
  BANYAN_RETURN_IF_ERROR(
      rpc::ProbeListen(address, rpc::LimitsOf(rpc::ServerProfile::kWorker).name));
  rpc::RemovePortFile(options.port_file);
  std::unique_ptr<WorkerProcess> process(new WorkerProcess(options));
  BANYAN_RETURN_IF_ERROR(process->OpenProbePorts(health, metrics));
  BANYAN_ASSIGN_OR_RETURN(process->loaded_, LoadForServing(options));
  WorkerIdentity& identity = process->loaded_.identity;
  identity.epoch = rpc::NewRandomId();
  identity.worker_id = options.worker_id;
  if (identity.worker_id.empty()) {
    identity.worker_id =
        HostName() + "-" +
        (address.port != 0 ? std::to_string(address.port) : rpc::NewUuidV7().substr(24));
  }
  BANYAN_RETURN_IF_ERROR(process->CreateEngine());
  BANYAN_RETURN_IF_ERROR(process->Serve(address));
  return process;
}

absl::Status WorkerProcess::Announce() {
  BANYAN_RETURN_IF_ERROR(WritePortFile());
  health_monitor_ =
      std::make_unique<HealthMonitor>(*engine_, loaded_.identity.max_waiting_requests, board_);
  hub_->Add(health_monitor_.get());
  LogReady();
  return absl::OkStatus();
}

absl::Status WorkerProcess::OpenProbePorts(const rpc::ListenAddress& health,
                                           const rpc::ListenAddress& metrics) {
  SetLoading(board_);
  registry_ = std::make_shared<rpc::MetricsRegistry>(WorkerMetricSpecs());
  metrics_ = std::make_unique<WorkerMetrics>(*registry_);
  BANYAN_ASSIGN_OR_RETURN(health_server_,
                          rpc::Server::Start({.address = health,
                                              .profile = rpc::ServerProfile::kHealth,
                                              .security = options_.security()},
                                             board_, {}));
  BANYAN_ASSIGN_OR_RETURN(metrics_server_,
                          rpc::MetricsServer::Start(metrics, options_.security(), registry_));
  return absl::OkStatus();
}

absl::Status WorkerProcess::CreateEngine() {
  BANYAN_ASSIGN_OR_RETURN(engine_, Engine::Create(MakeEngineOptions(options_, loaded_),
                                                  *loaded_.executor, Clock::Real()));
  engine_->SetStepObserver([this](const StepObservation& step) { metrics_->ObserveStep(step); });
  metrics_->AttachEngine(*engine_, Clock::Real());
  metrics_->SetInfo(loaded_.identity);
  metrics_->SetMemory(loaded_.memory);
  metrics_->SetLoadTimes(loaded_.times);
  return absl::OkStatus();
}

absl::Status WorkerProcess::Serve(const rpc::ListenAddress& address) {
  hub_ = std::make_unique<WatcherHub>(Clock::Real());
  service_ = std::make_unique<WorkerService>(WorkerService::Parts{.engine = *engine_,
                                                                  .identity = loaded_.identity,
                                                                  .card = *loaded_.card,
                                                                  .limits = loaded_.limits,
                                                                  .metrics = *metrics_,
                                                                  .hub = *hub_,
                                                                  .clock = Clock::Real()});
  loop_ = std::make_unique<EngineLoop>(
      *engine_, EngineLoop::Callbacks{
                    .after_turn = [this] { hub_->Wake(); },
                    .on_failure = [this](const absl::Status& status) { OnEngineFailure(status); }});
  std::array<grpc::Service*, 1> services = {service_.get()};
  BANYAN_ASSIGN_OR_RETURN(server_, rpc::Server::Start({.address = address,
                                                       .profile = rpc::ServerProfile::kWorker,
                                                       .security = options_.security()},
                                                      board_, services));
  return absl::OkStatus();
}

absl::Status WorkerProcess::WritePortFile() const {
  const rpc::PortFileEntry entries[] = {{"worker", address().ToString()},
                                        {"metrics", metrics_address().ToString()},
                                        {"health", health_address().ToString()}};
  return rpc::WritePortFile(options_.port_file, entries);
}

void WorkerProcess::LogReady() const {
  Log(LogSeverity::kInfo, "worker_ready")
      .Field("worker", identity().worker_id)
      .Field("model", identity().model)
      .Field("fingerprint", identity().model_fingerprint)
      .Field("listen", address().ToString())
      .Field("metrics", metrics_address().ToString())
      .Field("health", health_address().ToString())
      .Field("kv_tokens", int64_t{identity().num_blocks} * identity().block_size)
      .Field("load_s", loaded_.times.read_s + loaded_.times.convert_s + loaded_.times.warmup_s)
      .Field("version", identity().version);
}

void WorkerProcess::OnEngineFailure(const absl::Status& status) {
  Log(LogSeverity::kError, "engine_failed").Field("error", std::string(status.message()));
  const std::lock_guard lock(mutex_);
  failure_ = status;
  changed_.notify_all();
}

void WorkerProcess::RequestStop(StopMode mode) {
  const bool finish = mode == StopMode::kFinish;
  const Duration wait =
      finish ? Duration(std::chrono::seconds(options_.drain_deadline_s)) : Duration::zero();
  Log(LogSeverity::kInfo, "worker_stopping").Field("mode", finish ? "finish" : "hand_over");
  const TimePoint now = Clock::Real().Now();
  engine_->Drain(now + wait);
  hub_->Wake();
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  give_up_ = now + wait + kDrainGrace;
  changed_.notify_all();
}

rpc::ExitCode WorkerProcess::Run() {
  rpc::ExitCode code = rpc::ExitCode::kOk;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopping_ || failure_.has_value(); });
  while (!failure_.has_value() && engine_->Stats().state != EngineState::kDrained) {
    if (Clock::Real().Now() >= give_up_) {
      Log(LogSeverity::kError, "drain_ran_out_of_time");
      code = rpc::ExitCode::kTryLater;
      break;
    }
    changed_.wait_for(lock, kPollPeriod);
  }
  if (failure_.has_value()) code = rpc::ExitCode::kFailed;
  lock.unlock();
  hub_->Close();
  service_->WaitForCalls(kAnswerGrace);
  server_->Shutdown(kShutdownGrace);
  Log(LogSeverity::kInfo, "worker_stopped").Field("exit_code", static_cast<int>(code));
  return code;
}

WorkerProcess::~WorkerProcess() {
  if (engine_ != nullptr) {
    // Calls end only when the engine has ended their requests.
    engine_->Drain(Clock::Real().Now());
    if (hub_ != nullptr) hub_->Close();
    if (server_ != nullptr) server_->Shutdown(Duration::zero());
  }
  if (health_monitor_ != nullptr) hub_->Remove(health_monitor_.get());
  loop_ = nullptr;
  metrics_server_ = nullptr;
  if (metrics_ != nullptr) metrics_->DetachEngine();
  health_server_ = nullptr;
}

}  // namespace banyan::worker
