// banyan-worker: serves one replica of a model.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>

#include "common/base/log.h"
#include "common/rpc/build_info.h"
#include "common/rpc/exit_code.h"
#include "common/rpc/server.h"
#include "common/rpc/signal_watcher.h"
#include "worker/service/worker_process.h"

namespace banyan::worker {
namespace {

int Code(rpc::ExitCode code) { return static_cast<int>(code); }

// What signals do: before the worker serves, the first one ends the process; then the first one
// drains, the second hands over, the third ends the process.
class SignalPolicy {
 public:
  void Attach(WorkerProcess* process) {
    const std::lock_guard lock(mutex_);
    process_ = process;
  }
  void OnSignal(int count) {
    const std::lock_guard lock(mutex_);
    if (process_ == nullptr || count > 2) std::_Exit(Code(rpc::ExitCode::kInterrupted));
    process_->RequestStop(count == 1 ? WorkerProcess::StopMode::kFinish
                                     : WorkerProcess::StopMode::kHandOver);
  }

 private:
  std::mutex mutex_;
  WorkerProcess* process_ = nullptr;
};

int Refuse(const absl::Status& status) {
  Log(LogSeverity::kError, "worker_refuses_to_start").Field("error", std::string(status.message()));
  return Code(rpc::ExitCodeOf(status));
}

int Main(int argc, char** argv) {
  WorkerOptions options;
  rpc::OptionTable table = MakeOptionTable(options);
  const auto outcome = table.Parse(argc, argv);
  if (!outcome.ok()) {
    std::fprintf(stderr, "banyan-worker: %s\n", std::string(outcome.status().message()).c_str());
    return Code(rpc::ExitCode::kUsage);
  }
  if (*outcome == rpc::ParseOutcome::kHelp) {
    std::fputs(table.Help().c_str(), stdout);
    return Code(rpc::ExitCode::kOk);
  }
  if (*outcome == rpc::ParseOutcome::kVersion) {
    std::printf("banyan-worker %s\n", rpc::FullVersion().c_str());
    return Code(rpc::ExitCode::kOk);
  }
  ConfigureLog(options);
  SignalPolicy policy;
  const rpc::SignalWatcher signals([&policy](int, int count) { policy.OnSignal(count); });
  rpc::RouteGrpcLog();
  auto process = WorkerProcess::Start(options);
  if (!process.ok()) return Refuse(process.status());
  policy.Attach(process->get());
  if (const absl::Status status = (*process)->Announce(); !status.ok()) {
    policy.Attach(nullptr);
    return Refuse(status);
  }
  const rpc::ExitCode code = (*process)->Run();
  // An engine that did not drain cannot be waited for.
  if (code == rpc::ExitCode::kTryLater) std::_Exit(Code(code));
  policy.Attach(nullptr);
  return Code(code);
}

}  // namespace
}  // namespace banyan::worker

int main(int argc, char** argv) { return banyan::worker::Main(argc, argv); }
