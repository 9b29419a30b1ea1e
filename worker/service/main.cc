// banyan-worker: serves one replica of a model.
#include <cstdlib>
#include <memory>
#include <string>

#include "common/base/log.h"
#include "common/rpc/command_line.h"
#include "common/rpc/server.h"
#include "common/rpc/signal_watcher.h"
#include "common/rpc/stop_signals.h"
#include "worker/service/worker_process.h"

namespace banyan::worker {
namespace {

rpc::ExitCode Refuse(const absl::Status& status) {
  Log(LogSeverity::kError, "worker_refuses_to_start").Field("error", std::string(status.message()));
  return rpc::ExitCodeOf(status);
}

rpc::ExitCode Main(int argc, char** argv) {
  WorkerOptions options;
  rpc::OptionTable table = MakeOptionTable(options);
  if (const auto end = rpc::ParseCommandLine("banyan-worker", table, argc, argv)) return *end;
  rpc::ConfigureLog(options.log);
  rpc::StopSignals stop;
  const rpc::SignalWatcher signals([&stop](int, int count) { stop.OnSignal(count); });
  rpc::RouteGrpcLog();
  auto process = WorkerProcess::Start(options);
  if (!process.ok()) return Refuse(process.status());
  stop.Attach([&process](rpc::StopUrgency urgency) {
    (*process)->RequestStop(urgency == rpc::StopUrgency::kFinish
                                ? WorkerProcess::StopMode::kFinish
                                : WorkerProcess::StopMode::kHandOver);
  });
  const absl::Status announced = (*process)->Announce();
  const rpc::ExitCode code = announced.ok() ? (*process)->Run() : Refuse(announced);
  // An engine that did not drain cannot be waited for.
  if (code == rpc::ExitCode::kTryLater) std::_Exit(static_cast<int>(code));
  stop.Detach();
  return code;
}

}  // namespace
}  // namespace banyan::worker

int main(int argc, char** argv) { return static_cast<int>(banyan::worker::Main(argc, argv)); }
