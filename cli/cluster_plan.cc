#include "cli/cluster_plan.h"

#include <algorithm>
#include <thread>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"

namespace banyan::cli {
namespace {

constexpr int kPortMax = 65535;
constexpr int64_t kWorkerOffset = 10;
constexpr int64_t kMetricsOffset = 100;
constexpr int64_t kHealthOffset = 200;

// Port 0 stays 0: the kernel chooses.
rpc::ListenAddress Shifted(const rpc::ListenAddress& base, int64_t offset) {
  rpc::ListenAddress address = base;
  if (base.port != 0) address.port = static_cast<uint16_t>(base.port + offset);
  return address;
}

std::string Flag(std::string_view name, std::string_view value) {
  return absl::StrFormat("--%s=%s", name, value);
}
std::string Flag(std::string_view name, int64_t value) {
  return absl::StrFormat("--%s=%d", name, value);
}

// The supervisor reads the children's logs, so they are always JSON and never below info.
void AppendCommon(const ServeOptions& options, const ProcessPorts& ports,
                  const std::filesystem::path& port_file, std::vector<std::string>& arguments) {
  arguments.push_back(Flag("listen", ports.listen.ToString()));
  arguments.push_back(Flag("metrics-listen", ports.metrics.ToString()));
  arguments.push_back(Flag("health-listen", ports.health.ToString()));
  arguments.push_back(Flag("port-file", port_file.string()));
  arguments.push_back(Flag("drain-deadline-s", options.drain_deadline_s));
  arguments.push_back(Flag("log-format", "json"));
  arguments.push_back(Flag("log-level", options.log_level == "debug" ? "debug" : "info"));
  if (options.insecure) arguments.push_back("--insecure");
}

}  // namespace

ProcessPorts RouterPorts(const rpc::ListenAddress& listen) {
  // Operators' calls stay on this machine, wherever clients come from.
  rpc::ListenAddress admin = Shifted(listen, 2);
  if (!admin.IsLoopback()) admin.host = "127.0.0.1";
  return {.listen = listen,
          .metrics = Shifted(listen, 1),
          .health = Shifted(listen, 3),
          .admin = admin};
}

ProcessPorts WorkerPorts(const rpc::ListenAddress& listen, int64_t index) {
  // Only the router speaks to a worker, and it is on this machine.
  rpc::ListenAddress worker = Shifted(listen, kWorkerOffset + index);
  worker.host = "127.0.0.1";
  return {.listen = worker,
          .metrics = Shifted(worker, kMetricsOffset),
          .health = Shifted(worker, kHealthOffset),
          .admin = {}};
}

absl::Status CheckServeOptions(const ServeOptions& options) {
  BANYAN_ASSIGN_OR_RETURN(const rpc::ListenAddress listen,
                          rpc::ParseListenAddress(options.listen, "--listen"));
  BANYAN_RETURN_IF_ERROR(rpc::CheckExposure(listen, options.insecure
                                                        ? rpc::TransportSecurity::kInsecure
                                                        : rpc::TransportSecurity::kLoopbackOnly));
  const int64_t highest = listen.port + kWorkerOffset + kHealthOffset + options.num_workers;
  if (listen.port != 0 && highest > kPortMax) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--listen: port %d leaves no room for the other ports (up to %d, limit "
                        "%d); take a lower one or 0",
                        listen.port, highest, kPortMax));
  }
  return absl::OkStatus();
}

std::vector<std::string> WorkerArguments(const ServeOptions& options,
                                         const std::filesystem::path& model, int64_t index,
                                         const ProcessPorts& ports,
                                         const std::filesystem::path& port_file) {
  std::vector<std::string> arguments = {
      Flag("model", model.string()), Flag("worker-id", absl::StrFormat("worker-%d", index)),
      Flag("dtype", options.dtype), Flag("isa", options.isa), Flag("backend", options.backend)};
  const int64_t cores =
      options.threads > 0 ? options.threads : std::max(1u, std::thread::hardware_concurrency());
  arguments.push_back(Flag("threads", std::max<int64_t>(1, cores / options.num_workers)));
  if (!options.served_model_name.empty()) {
    arguments.push_back(Flag("served-model-name", options.served_model_name));
  }
  if (options.kv_cache_tokens > 0)
    arguments.push_back(Flag("kv-cache-tokens", options.kv_cache_tokens));
  if (options.context_length > 0)
    arguments.push_back(Flag("context-length", options.context_length));
  AppendCommon(options, ports, port_file, arguments);
  arguments.insert(arguments.end(), options.worker_args.begin(), options.worker_args.end());
  return arguments;
}

std::vector<std::string> RouterArguments(const ServeOptions& options, const ProcessPorts& ports,
                                         const std::vector<std::string>& worker_addresses,
                                         const std::filesystem::path& port_file) {
  std::vector<std::string> arguments = {Flag("admin-listen", ports.admin.ToString()),
                                        Flag("policy", options.policy)};
  for (const std::string& address : worker_addresses) arguments.push_back(Flag("workers", address));
  AppendCommon(options, ports, port_file, arguments);
  arguments.insert(arguments.end(), options.router_args.begin(), options.router_args.end());
  return arguments;
}

}  // namespace banyan::cli
