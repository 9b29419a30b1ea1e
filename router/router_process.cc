#include "router/router_process.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/rpc/build_info.h"
#include "common/rpc/errors.h"
#include "common/rpc/port_file.h"

namespace banyan::router {
namespace {

constexpr Duration kMaintenancePeriod = std::chrono::milliseconds(100);
constexpr Duration kProgressPeriod = std::chrono::seconds(1);
// For answers that are on their way when the last request has ended.
constexpr Duration kShutdownGrace = std::chrono::seconds(2);
constexpr size_t kTextQueueMax = 4096;

absl::Status DrainEnds() {
  return rpc::Error(rpc::ErrorReason::kRouterDraining, "this router ends")
      .RetryAfter(std::chrono::seconds(1))
      .ToStatus();
}

size_t TextThreads(int64_t wanted) {
  if (wanted > 0) return static_cast<size_t>(wanted);
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

absl::StatusOr<std::unique_ptr<RouterProcess>> RouterProcess::Start(
    const RouterOptions& options, TextModelLoader load_text_model) {
  BANYAN_RETURN_IF_ERROR(CheckOptions(options));
  std::string secret;
  if (!options.cluster_secret_file.empty()) {
    BANYAN_ASSIGN_OR_RETURN(secret, ReadClusterSecret(options.cluster_secret_file));
  }
  rpc::RemovePortFile(options.port_file);
  std::unique_ptr<RouterProcess> process(new RouterProcess(options));
  process->CreateParts(std::move(load_text_model), std::move(secret));
  BANYAN_RETURN_IF_ERROR(process->OpenPorts());
  for (const std::string& target : options.workers) {
    BANYAN_RETURN_IF_ERROR(process->registry_->AddTarget(target));
  }
  process->maintenance_ = std::thread([raw = process.get()] { raw->Maintain(); });
  return process;
}

absl::Status RouterProcess::Announce() {
  BANYAN_RETURN_IF_ERROR(WritePortFile());
  Log(LogSeverity::kInfo, "router_ready")
      .Field("listen", address().ToString())
      .Field("admin", admin_address().ToString())
      .Field("metrics", metrics_address())
      .Field("health", health_address().ToString())
      .Field("policy", options_.policy)
      .Field("workers", options_.workers.size())
      .Field("version", rpc::FullVersion());
  return absl::OkStatus();
}

void RouterProcess::CreateParts(TextModelLoader load_text_model, std::string cluster_secret) {
  metrics_registry_ = std::make_shared<rpc::MetricsRegistry>(RouterMetricSpecs());
  metrics_ = std::make_unique<RouterMetrics>(*metrics_registry_);
  work_pool_ = std::make_unique<WorkPool>(TextThreads(options_.text_threads), kTextQueueMax);
  retry_budget_ = std::make_unique<RetryBudget>(Clock::Real());
  metrics_->SetRetryBudget(retry_budget_->Remaining());
  active_ = std::make_unique<ActiveRequests>(static_cast<size_t>(options_.max_active_requests));
  WorkerRegistry::Options registry;
  registry.pool_label = options_.pool;
  registry.load_text_model = std::move(load_text_model);
  registry.routing.policy =
      options_.policy == "round-robin" ? PolicyKind::kRoundRobin : PolicyKind::kCost;
  if (options_.max_index_bytes.has_value()) {
    registry.routing.tree.bytes_max = static_cast<size_t>(*options_.max_index_bytes);
  }
  registry_ =
      std::make_unique<WorkerRegistry>(std::move(registry), Clock::Real(), *work_pool_, *metrics_);
  context_ =
      std::make_unique<ServiceContext>(ServiceContext{.clock = Clock::Real(),
                                                      .registry = *registry_,
                                                      .work_pool = *work_pool_,
                                                      .metrics = *metrics_,
                                                      .retry_budget = *retry_budget_,
                                                      .active = *active_,
                                                      .cluster_secret = std::move(cluster_secret)});
  inference_ = std::make_unique<InferenceService>(*context_);
  cluster_ = std::make_unique<ClusterService>(*context_, [this] { BeginDrain(); });
  for (const std::string_view name :
       {rpc::kHealthOverall, rpc::kHealthStartup, rpc::kHealthReadiness, rpc::kHealthLiveness}) {
    board_.Set(name, rpc::ServingStatus::kNotServing);
  }
  board_.Set(v1::InferenceService::service_full_name(), rpc::ServingStatus::kNotServing);
}

absl::Status RouterProcess::OpenPorts() {
  BANYAN_ASSIGN_OR_RETURN(const rpc::ListenAddress listen,
                          rpc::ParseListenAddress(options_.listen, "--listen"));
  BANYAN_ASSIGN_OR_RETURN(const rpc::ListenAddress admin,
                          rpc::ParseListenAddress(options_.admin_listen, "--admin-listen"));
  BANYAN_ASSIGN_OR_RETURN(const rpc::ListenAddress health,
                          rpc::ParseListenAddress(options_.health_listen, "--health-listen"));
  if (!options_.metrics_listen.empty()) {
    BANYAN_ASSIGN_OR_RETURN(const rpc::ListenAddress metrics,
                            rpc::ParseListenAddress(options_.metrics_listen, "--metrics-listen"));
    BANYAN_ASSIGN_OR_RETURN(metrics_server_, rpc::MetricsServer::Start(metrics, options_.security(),
                                                                       metrics_registry_));
  }
  std::array<grpc::Service*, 1> inference = {inference_.get()};
  std::array<grpc::Service*, 1> cluster = {cluster_.get()};
  const auto start = [&](const rpc::ListenAddress& address, rpc::ServerProfile profile,
                         std::span<grpc::Service* const> services) {
    return rpc::Server::Start(
        {.address = address, .profile = profile, .security = options_.security()}, board_,
        services);
  };
  BANYAN_ASSIGN_OR_RETURN(health_server_, start(health, rpc::ServerProfile::kHealth, {}));
  BANYAN_ASSIGN_OR_RETURN(admin_server_, start(admin, rpc::ServerProfile::kAdmin, cluster));
  BANYAN_ASSIGN_OR_RETURN(server_, start(listen, rpc::ServerProfile::kPublic, inference));
  board_.Set(rpc::kHealthStartup, rpc::ServingStatus::kServing);
  board_.Set(rpc::kHealthLiveness, rpc::ServingStatus::kServing);
  return absl::OkStatus();
}

absl::Status RouterProcess::WritePortFile() const {
  const rpc::PortFileEntry entries[] = {{"router", address().ToString()},
                                        {"metrics", metrics_address()},
                                        {"admin", admin_address().ToString()},
                                        {"health", health_address().ToString()}};
  return rpc::WritePortFile(options_.port_file, entries);
}

void RouterProcess::Maintain() {
  TimePoint next_progress;
  std::unique_lock lock(mutex_);
  while (!ending_) {
    const TimePoint now = Clock::Real().Now();
    const std::optional<TimePoint> drain_began = drain_began_;
    lock.unlock();
    if (drain_began.has_value() &&
        now - *drain_began >= std::chrono::milliseconds(options_.drain_admit_ms)) {
      active_->BeginDrain();
    }
    if (now >= next_progress) {
      active_->CheckProgress(now);
      metrics_->SetRetryBudget(retry_budget_->Remaining());
      next_progress = now + kProgressPeriod;
    }
    UpdateHealth();
    lock.lock();
    changed_.wait_for(lock, kMaintenancePeriod, [this] { return ending_; });
  }
}

void RouterProcess::UpdateHealth() {
  bool admits = false;
  {
    const std::lock_guard lock(mutex_);
    admits = !drain_began_.has_value();
  }
  admits = admits && registry_->num_ready_workers() > 0;
  const auto status = admits ? rpc::ServingStatus::kServing : rpc::ServingStatus::kNotServing;
  board_.Set(rpc::kHealthOverall, status);
  board_.Set(v1::InferenceService::service_full_name(), status);
  board_.Set(rpc::kHealthReadiness, status);
}

void RouterProcess::BeginDrain() {
  {
    const std::lock_guard lock(mutex_);
    if (drain_began_.has_value()) return;
    drain_began_ = Clock::Real().Now();
  }
  Log(LogSeverity::kInfo, "router_draining").Field("open_requests", active_->size());
  metrics_->SetDraining(true);
  UpdateHealth();
  if (options_.drain_admit_ms == 0) active_->BeginDrain();
}

void RouterProcess::RequestStop(StopMode mode) {
  BeginDrain();
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  stop_now_ = stop_now_ || mode == StopMode::kNow;
  changed_.notify_all();
}

rpc::ExitCode RouterProcess::Run() {
  rpc::ExitCode code = rpc::ExitCode::kOk;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopping_; });
  const TimePoint deadline = *drain_began_ + std::chrono::milliseconds(options_.drain_admit_ms) +
                             std::chrono::seconds(options_.drain_deadline_s);
  while (!stop_now_ && !(active_->draining() && active_->size() == 0)) {
    if (Clock::Real().Now() >= deadline) {
      code = rpc::ExitCode::kTryLater;
      break;
    }
    changed_.wait_for(lock, kMaintenancePeriod);
  }
  lock.unlock();
  active_->BeginDrain();
  active_->EndAll(DrainEnds());
  server_->Shutdown(kShutdownGrace);
  Log(LogSeverity::kInfo, "router_stopped").Field("exit_code", static_cast<int>(code));
  return code;
}

RouterProcess::~RouterProcess() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  if (maintenance_.joinable()) maintenance_.join();
  if (active_ != nullptr) {
    active_->BeginDrain();
    active_->EndAll(DrainEnds());
  }
  if (server_ != nullptr) server_->Shutdown(kShutdownGrace);
  if (admin_server_ != nullptr) admin_server_->Shutdown(Duration::zero());
  metrics_server_ = nullptr;
  health_server_ = nullptr;
  registry_ = nullptr;
}

}  // namespace banyan::router
