// banyan serve: a whole cluster on this machine.
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_format.h"
#include "cli/cluster_supervisor.h"
#include "cli/command.h"
#include "cli/model_location.h"
#include "cli/state_directory.h"
#include "common/rpc/command_line.h"
#include "common/rpc/log_options.h"

namespace banyan::cli {
namespace {

namespace fs = std::filesystem;

void AddOptions(rpc::OptionTable& table, ServeOptions& options) {
  table.Section("Model");
  table.Text("model", "NAME|DIR|FILE.gguf", options.model,
             "A GGUF file, a Hugging Face directory, or the name of a model in the model folder.");
  table.Text("served-model-name", "NAME", options.served_model_name,
             "Name under which clients ask for it; default: the model's own.");
  table.Choice("dtype", {"bf16", "f32"}, options.dtype, "In which weights and KV cache are held.");
  table.Integer("context-length", "N", {0, 1 << 24}, options.context_length,
                "Longest sequence in tokens; 0: the model's own limit.");
  table.Section("Cluster");
  table.Integer("workers", "N", {1, kWorkersMax}, options.num_workers, "Worker processes.");
  table.Text("listen", "HOST:PORT", options.listen,
             "The router. Metrics, admin and health take the next three ports, worker i takes "
             "PORT+10+i (metrics "
             "+110+i, health +210+i). Port 0: free ports for all.");
  table.Choice("policy", {"cost", "round-robin"}, options.policy,
               "How the router chooses workers.");
  table.Switch("insecure", options.insecure, "Allow plaintext beyond this machine.");
  table.Integer("start-timeout-s", "SECONDS", {1, 86'400}, options.start_timeout_s,
                "Give up when the cluster is not up by then.");
  table.Integer("drain-deadline-s", "SECONDS", {0, 86'400}, options.drain_deadline_s,
                "How long running requests may take to end after Ctrl-C.");
  table.Section("Compute");
  table.Integer("threads", "N", {0, 1024}, options.threads,
                "Compute threads of all workers together; 0: all cores.");
  table.Choice("backend", {"cpu", "reference"}, options.backend,
               "The kernels; reference is slow and exact.");
  table.Choice("isa", {"auto", "scalar", "avx2", "avx512"}, options.isa,
               "CPU instructions; auto: the best there is.");
  table.Integer("kv-cache-tokens", "N", {0, int64_t{1} << 32}, options.kv_cache_tokens,
                "KV cache of each worker in tokens; 0: from memory.");
  table.Section("Logs");
  table.Choice("log-format", {"text", "json"}, options.log_format, "Of the lines on stderr.");
  table.Choice("log-level", {"debug", "info", "warning", "error"}, options.log_level,
               "Lowest level on stderr; the log files hold everything from info.");
  table.Text("state-dir", "DIR", options.state_dir,
             "Log files and cluster.json; default: a new folder under /tmp.");
  table.Section("Expert");
  table.List("worker-arg", "FLAG", options.worker_args,
             "Passed on to every banyan-worker, for example --worker-arg=--max-step-tokens=1024.");
  table.List("router-arg", "FLAG", options.router_args, "Passed on to banyan-router.");
  table.Example("banyan serve", "the default model on one worker");
  table.Example("banyan serve --model ./qwen3-0.6b --workers 2", "a Hugging Face directory on two");
}

// Beside this program (an installation), or where the build puts them.
absl::StatusOr<ClusterPrograms> FindPrograms() {
  std::error_code error;
  const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  const auto find = [&](const char* name, const char* in_build) -> absl::StatusOr<std::string> {
    for (const fs::path& candidate : {here / name, here / in_build / name}) {
      if (fs::exists(candidate, error)) return candidate.lexically_normal().string();
    }
    return absl::NotFoundError(
        absl::StrFormat("%s is not beside %s; install all three programs together", name,
                        (here / "banyan").string()));
  };
  const absl::StatusOr<std::string> router = find("banyan-router", "../router");
  if (!router.ok()) return router.status();
  const absl::StatusOr<std::string> worker = find("banyan-worker", "../worker/service");
  if (!worker.ok()) return worker.status();
  return ClusterPrograms{.router = *router, .worker = *worker};
}

}  // namespace

rpc::ExitCode RunServe(int argc, const char* const* argv) {
  ServeOptions options;
  options.model = kDefaultModel;
  rpc::OptionTable table("banyan serve",
                         "Starts one router and N workers on this machine and keeps them running.");
  AddOptions(table, options);
  if (const auto end = rpc::ParseCommandLine("banyan", table, argc, argv)) return *end;
  if (const absl::Status status = CheckServeOptions(options); !status.ok()) return Fail(status);
  const absl::StatusOr<fs::path> model = LocateModel(options.model);
  if (!model.ok()) return Fail(model.status());
  if (options.served_model_name.empty() && options.model == kDefaultModel)
    options.served_model_name = kDefaultModel;
  const absl::StatusOr<ClusterPrograms> programs = FindPrograms();
  if (!programs.ok()) return Fail(programs.status());
  rpc::ConfigureLog({.format = options.log_format, .level = options.log_level});
  const absl::StatusOr<fs::path> state_dir = MakeStateDirectory(options.state_dir);
  if (!state_dir.ok()) return Fail(state_dir.status());
  ClusterSupervisor supervisor(options, *model, *programs, *state_dir);
  return supervisor.Run();
}

}  // namespace banyan::cli
