// banyan-router: the front of a cluster.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>

#include "common/base/log.h"
#include "common/rpc/build_info.h"
#include "common/rpc/exit_code.h"
#include "common/rpc/signal_watcher.h"
#include "common/text/text_model.h"
#include "router/router_process.h"

namespace banyan::router {
namespace {

int Code(rpc::ExitCode code) { return static_cast<int>(code); }

// What signals do: before the router serves, the first one ends the process; then the first one
// drains, the second ends what is open, the third ends the process.
class SignalPolicy {
 public:
  void Attach(RouterProcess* process) {
    const std::lock_guard lock(mutex_);
    process_ = process;
  }
  void OnSignal(int count) {
    const std::lock_guard lock(mutex_);
    if (process_ == nullptr || count > 2) std::_Exit(Code(rpc::ExitCode::kInterrupted));
    process_->RequestStop(count == 1 ? RouterProcess::StopMode::kDrain
                                     : RouterProcess::StopMode::kNow);
  }

 private:
  std::mutex mutex_;
  RouterProcess* process_ = nullptr;
};

absl::StatusOr<std::shared_ptr<const TextModel>> LoadTextModel(const TextAssets& assets) {
  auto model = TextModel::Load(assets);
  if (!model.ok()) return model.status();
  return std::shared_ptr<const TextModel>(*std::move(model));
}

int Main(int argc, char** argv) {
  RouterOptions options;
  rpc::OptionTable table = MakeOptionTable(options);
  const auto outcome = table.Parse(argc, argv);
  if (!outcome.ok()) {
    std::fprintf(stderr, "banyan-router: %s\n", std::string(outcome.status().message()).c_str());
    return Code(rpc::ExitCode::kUsage);
  }
  if (*outcome == rpc::ParseOutcome::kHelp) {
    std::fputs(table.Help().c_str(), stdout);
    return Code(rpc::ExitCode::kOk);
  }
  if (*outcome == rpc::ParseOutcome::kVersion) {
    std::printf("banyan-router %s\n", rpc::FullVersion().c_str());
    return Code(rpc::ExitCode::kOk);
  }
  ConfigureLog(options);
  SignalPolicy policy;
  const rpc::SignalWatcher signals([&policy](int, int count) { policy.OnSignal(count); });
  rpc::RouteGrpcLog();
  auto process = RouterProcess::Start(options, LoadTextModel);
  if (!process.ok()) {
    Log(LogSeverity::kError, "router_refuses_to_start")
        .Field("error", std::string(process.status().message()));
    return Code(rpc::ExitCodeOf(process.status()));
  }
  policy.Attach(process->get());
  const rpc::ExitCode code = (*process)->Run();
  policy.Attach(nullptr);
  return Code(code);
}

}  // namespace
}  // namespace banyan::router

int main(int argc, char** argv) { return banyan::router::Main(argc, argv); }
