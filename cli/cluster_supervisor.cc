#include "cli/cluster_supervisor.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "cli/start_up_block.h"
#include "cli/state_directory.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace banyan::cli {
namespace {

constexpr Duration kKillGrace = std::chrono::seconds(10);
constexpr int kTurnMs = 100;
constexpr char kClusterFile[] = "cluster.json";

}  // namespace

ClusterSupervisor::ClusterSupervisor(ServeOptions options, std::filesystem::path model,
                                     ClusterPrograms programs, std::filesystem::path state_dir)
    : options_(std::move(options)),
      model_(std::move(model)),
      programs_(std::move(programs)),
      state_dir_(std::move(state_dir)),
      progress_("loading", static_cast<size_t>(options_.num_workers),
                ::isatty(STDERR_FILENO) != 0 ? ProgressStyle::kBar : ProgressStyle::kLines,
                stderr) {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGCHLD}) ::sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal_fd_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  MakeMembers();
}

ClusterSupervisor::~ClusterSupervisor() {
  if (signal_fd_ >= 0) ::close(signal_fd_);
}

void ClusterSupervisor::MakeMembers() {
  // CheckServeOptions has parsed it before.
  const rpc::ListenAddress listen = *rpc::ParseListenAddress(options_.listen, "--listen");
  for (int64_t i = 0; i < options_.num_workers; ++i) {
    const std::string name = absl::StrFormat("worker-%d", i);
    members_.push_back(std::make_unique<ClusterMember>(
        MemberKind::kWorker, name, programs_.worker, WorkerPorts(listen, i),
        [this, i, name](const ProcessPorts& ports) {
          return WorkerArguments(options_, model_, i, ports, state_dir_ / (name + ".ports.json"));
        },
        state_dir_));
  }
  members_.push_back(std::make_unique<ClusterMember>(
      MemberKind::kRouter, "router", programs_.router, RouterPorts(listen),
      [this](const ProcessPorts& ports) {
        std::vector<std::string> workers;
        for (const auto& member : members_) {
          if (member->kind() == MemberKind::kWorker)
            workers.push_back(member->ports().listen.ToString());
        }
        return RouterArguments(options_, ports, workers, state_dir_ / "router.ports.json");
      },
      state_dir_));
}

template <typename Done>
bool ClusterSupervisor::WaitUntil(Done done) {
  while (!done()) {
    if (failure_ || num_stop_signals_ > 0) return false;
    Turn(kTurnMs);
  }
  return true;
}

absl::Status ClusterSupervisor::StartWorkers() {
  for (const auto& member : members_) {
    if (member->kind() == MemberKind::kWorker) BANYAN_RETURN_IF_ERROR(member->Start());
  }
  return absl::OkStatus();
}

absl::Status ClusterSupervisor::StartRouter() { return members_.back()->Start(); }

rpc::ExitCode ClusterSupervisor::Run() {
  if (const absl::Status status = StartWorkers(); !status.ok()) {
    std::fprintf(stderr, "banyan: %s\n", std::string(status.message()).c_str());
    Stop();
    return rpc::ExitCode::kConfiguration;
  }
  const TimePoint start_end = Clock::Real().Now() + std::chrono::seconds(options_.start_timeout_s);
  const auto check_start_time = [&] {
    if (failure_ || Clock::Real().Now() < start_end) return;
    progress_.Finish();
    std::fprintf(stderr,
                 "banyan: the cluster is not up after %lld s (--start-timeout-s); logs are in %s\n",
                 static_cast<long long>(options_.start_timeout_s), state_dir_.c_str());
    failure_ = rpc::ExitCode::kTryLater;
  };
  const auto workers_ready = [&] {
    check_start_time();
    return std::ranges::all_of(members_, [](const auto& member) {
      return member->kind() == MemberKind::kRouter || member->ready();
    });
  };
  bool up = WaitUntil(workers_ready);
  progress_.Finish();
  if (up) {
    const absl::Status status = StartRouter();
    if (!status.ok()) {
      std::fprintf(stderr, "banyan: %s\n", std::string(status.message()).c_str());
      failure_ = rpc::ExitCode::kConfiguration;
    }
    const size_t num_workers = static_cast<size_t>(options_.num_workers);
    up = WaitUntil([&] {
      check_start_time();
      return members_.back()->ready() && joined_.size() >= num_workers;
    });
  }
  if (up) {
    phase_ = Phase::kServing;
    WriteClusterFile();
    PrintStartUpBlock();
    WaitUntil([] { return false; });
  }
  Stop();
  if (failure_) return *failure_;
  return up ? rpc::ExitCode::kOk : rpc::ExitCode::kInterrupted;
}

void ClusterSupervisor::Turn(int timeout_ms) {
  std::vector<pollfd> fds = {{.fd = signal_fd_, .events = POLLIN, .revents = 0}};
  for (const auto& member : members_) {
    if (member->output_fd() >= 0)
      fds.push_back({.fd = member->output_fd(), .events = POLLIN, .revents = 0});
  }
  ::poll(fds.data(), fds.size(), timeout_ms);
  OnSignal();
  for (const auto& member : members_) {
    member->Pump([this](ClusterMember& from, const ChildLogLine& line) { OnLine(from, line); });
  }
  if (phase_ != Phase::kStopping) Reap();
}

void ClusterSupervisor::OnSignal() {
  signalfd_siginfo info;
  while (::read(signal_fd_, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
    if (info.ssi_signo != SIGCHLD) ++num_stop_signals_;
  }
}

void ClusterSupervisor::OnLine(ClusterMember& member, const ChildLogLine& line) {
  if (line.event == "worker_loading") {
    for (size_t i = 0; i < members_.size(); ++i) {
      if (members_[i].get() == &member)
        progress_.Update(i, line.Integer("bytes"), line.Integer("total"));
    }
    return;
  }
  if (line.event == "worker_joined") joined_.insert(line.Text("worker"));
  // A failed start is reported once, by Reap.
  if (line.event.ends_with("_refuses_to_start")) return;
  LogSeverity severity = LogSeverity::kInfo;
  if (!ParseLogSeverity(line.level, severity)) severity = LogSeverity::kInfo;
  Log forwarded(severity, line.event);
  forwarded.Field("process", member.name());
  for (const auto& [name, value] : line.fields) forwarded.Field(name, value);
}

void ClusterSupervisor::Reap() {
  const TimePoint now = Clock::Real().Now();
  for (const auto& member : members_) {
    const std::optional<int> code = member->Ended();
    if (!code) continue;
    if (phase_ == Phase::kStarting) {
      if (failure_) continue;
      progress_.Finish();
      const std::string error = member->last_error().empty()
                                    ? absl::StrFormat("ended with code %d", *code)
                                    : member->last_error();
      std::fprintf(stderr, "banyan: %s did not start: %s (log: %s)\n", member->name().c_str(),
                   error.c_str(), member->log_path().c_str());
      failure_ =
          *code > 0 && *code < 128 ? static_cast<rpc::ExitCode>(*code) : rpc::ExitCode::kFailed;
    } else if (member->RestartDue(now)) {
      Log(LogSeverity::kWarning, "process_restarts").Field("process", member->name());
      if (const absl::Status status = member->Start(); !status.ok()) {
        Log(LogSeverity::kError, "restart_failed").Field("error", std::string(status.message()));
        member->ScheduleRestart(now);
      }
      WriteClusterFile();
    } else if (member->ready() || !member->restart_scheduled()) {
      Log(LogSeverity::kError, "process_ended")
          .Field("process", member->name())
          .Field("code", *code)
          .Field("last_error", member->last_error());
      member->ScheduleRestart(now);
    }
  }
}

bool ClusterSupervisor::WaitForEnd(MemberKind kind, Duration limit) {
  const TimePoint end = Clock::Real().Now() + limit;
  const int signals_before = num_stop_signals_;
  const auto runs = [&](const auto& member) { return member->kind() == kind && member->running(); };
  while (std::ranges::any_of(members_, runs)) {
    if (Clock::Real().Now() >= end) return false;
    if (num_stop_signals_ > signals_before + 1) return false;
    const int before = num_stop_signals_;
    Turn(kTurnMs);
    if (num_stop_signals_ > before) {
      std::fprintf(stderr, "banyan: stopping faster; once more kills\n");
      for (const auto& member : members_) {
        if (runs(member)) member->Signal(SIGTERM);
      }
    }
  }
  return true;
}

void ClusterSupervisor::Stop() {
  phase_ = Phase::kStopping;
  if (num_stop_signals_ > 0) std::fprintf(stderr, "banyan: draining\n");
  const Duration limit = std::chrono::seconds(options_.drain_deadline_s) + kKillGrace;
  // The router first: it stops admitting and finishes its streams, which need the workers.
  for (const MemberKind kind : {MemberKind::kRouter, MemberKind::kWorker}) {
    for (const auto& member : members_) {
      if (member->kind() == kind) member->Signal(SIGTERM);
    }
    if (WaitForEnd(kind, limit)) continue;
    for (const auto& member : members_) {
      if (member->kind() != kind || !member->running()) continue;
      std::fprintf(stderr, "banyan: %s did not end in time and is killed\n",
                   member->name().c_str());
      member->Signal(SIGKILL);
    }
    WaitForEnd(kind, kKillGrace);
  }
  std::error_code ignored;  // it may never have been written
  std::filesystem::remove(state_dir_ / kClusterFile, ignored);
}

void ClusterSupervisor::PrintStartUpBlock() const {
  StartUpFacts facts{.model_path = model_.string(),
                     .dtype = options_.dtype,
                     .state_dir = state_dir_.string(),
                     .worker_plan = {},
                     .router = members_.back()->ports(),
                     .workers = {}};
  for (const auto& member : members_) {
    if (member->kind() != MemberKind::kWorker) continue;
    facts.worker_plan = member->plan();
    facts.workers.push_back(member->ports());
  }
  std::fputs(FormatStartUpBlock(facts).c_str(), stdout);
  std::fflush(stdout);
}

void ClusterSupervisor::WriteClusterFile() const {
  const auto describe = [](const ClusterMember& member) {
    return nlohmann::ordered_json{{"name", member.name()},
                                  {"pid", member.pid()},
                                  {"grpc", member.ports().listen.ToString()},
                                  {"metrics", member.ports().metrics.ToString()},
                                  {"health", member.ports().health.ToString()},
                                  {"log", member.log_path().string()}};
  };
  nlohmann::ordered_json json;
  json["router"] = describe(*members_.back());
  json["router"]["admin"] = members_.back()->ports().admin.ToString();
  json["workers"] = nlohmann::ordered_json::array();
  for (const auto& member : members_) {
    if (member->kind() == MemberKind::kWorker) json["workers"].push_back(describe(*member));
  }
  if (const absl::Status status = ReplaceFile(state_dir_ / kClusterFile, json.dump(2) + "\n");
      !status.ok()) {
    Log(LogSeverity::kError, "cluster_file_failed").Field("error", std::string(status.message()));
  }
}

}  // namespace banyan::cli
