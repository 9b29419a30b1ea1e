// banyan-router: the front of a cluster.
#include <memory>
#include <string>

#include "common/base/log.h"
#include "common/rpc/command_line.h"
#include "common/rpc/server.h"
#include "common/rpc/signal_watcher.h"
#include "common/rpc/stop_signals.h"
#include "common/text/text_model.h"
#include "router/router_process.h"

namespace banyan::router {
namespace {

absl::StatusOr<std::shared_ptr<const TextModel>> LoadTextModel(const TextAssets& assets) {
  auto model = TextModel::Load(assets);
  if (!model.ok()) return model.status();
  return std::shared_ptr<const TextModel>(*std::move(model));
}

rpc::ExitCode Refuse(const absl::Status& status) {
  Log(LogSeverity::kError, "router_refuses_to_start").Field("error", std::string(status.message()));
  return rpc::ExitCodeOf(status);
}

rpc::ExitCode Main(int argc, char** argv) {
  RouterOptions options;
  rpc::OptionTable table = MakeOptionTable(options);
  if (const auto end = rpc::ParseCommandLine("banyan-router", table, argc, argv)) return *end;
  rpc::ConfigureLog(options.log);
  rpc::StopSignals stop;
  const rpc::SignalWatcher signals([&stop](int, int count) { stop.OnSignal(count); });
  rpc::RouteGrpcLog();
  auto process = RouterProcess::Start(options, LoadTextModel);
  if (!process.ok()) return Refuse(process.status());
  stop.Attach([&process](rpc::StopUrgency urgency) {
    (*process)->RequestStop(urgency == rpc::StopUrgency::kFinish ? RouterProcess::StopMode::kDrain
                                                                 : RouterProcess::StopMode::kNow);
  });
  const absl::Status announced = (*process)->Announce();
  const rpc::ExitCode code = announced.ok() ? (*process)->Run() : Refuse(announced);
  stop.Detach();
  return code;
}

}  // namespace
}  // namespace banyan::router

int main(int argc, char** argv) { return static_cast<int>(banyan::router::Main(argc, argv)); }
