#include "router/router_options.h"

#include <fstream>
#include <iterator>

#include "absl/strings/str_format.h"

namespace banyan::router {
namespace {

constexpr int64_t kIndexBytesMin = int64_t{1} << 20;
constexpr int64_t kIndexBytesMax = int64_t{16} << 30;
constexpr size_t kSecretBytesMin = 16;
constexpr size_t kSecretBytesMax = 4096;

void AddWorkerOptions(rpc::OptionTable& table, RouterOptions& options) {
  table.Section("Workers");
  table.List("workers", "TARGET", options.workers,
             "host:port of a worker, several separated by commas; or dns:///name:port to follow "
             "a name, looked up every 5 s.");
  table.Text("pool", "NAME", options.pool, "Name of the pool, for metrics and operators.");
  table.Choice("policy", {"cost", "round-robin"}, options.policy,
               "How a worker is chosen. round-robin is for measuring what the cost is worth.");
  table.Bytes("max-index-bytes", options.max_index_bytes,
              "Memory for the prefix tree of a model, 1M to 16G; without it, 1G.");
}

void AddServingOptions(rpc::OptionTable& table, RouterOptions& options) {
  table.Section("Serving");
  table.Integer("max-active-requests", "N", {1, 1 << 20}, options.max_active_requests,
                "Requests that may be open; further ones are refused with RESOURCE_EXHAUSTED.");
  table.Integer("text-threads", "N", {0, 1024}, options.text_threads,
                "Threads for templates and tokenization; 0: one for each usable core.");
  table.Integer("drain-admit-ms", "N", {0, 60'000}, options.drain_admit_ms,
                "After SIGTERM, milliseconds in which requests are still admitted, while load "
                "balancers learn of it.");
  table.Integer("drain-deadline-s", "N", {0, 86'400}, options.drain_deadline_s,
                "After that, seconds until open streams are ended.");
}

void AddNetworkOptions(rpc::OptionTable& table, RouterOptions& options) {
  table.Section("Network");
  table.Text("listen", "HOST:PORT", options.listen,
             "The gRPC port for clients. Port 0: the kernel chooses.");
  table.Text("metrics-listen", "HOST:PORT", options.metrics_listen,
             "GET /metrics; empty: no such port.");
  table.Text("admin-listen", "HOST:PORT", options.admin_listen, "The gRPC port for operators.");
  table.Text("health-listen", "HOST:PORT", options.health_listen,
             "grpc.health.v1 in plaintext, for probes.");
  table.Text("port-file", "PATH", options.port_file,
             "Write the addresses in use to this file, as JSON, once all ports are open.");
  table.Text("cluster-secret-file", "PATH", options.cluster_secret_file,
             "Secret that separates the prefix caches of tenants; the same for all routers.");
  table.Switch("insecure", options.insecure,
               "Allow plaintext without keys on addresses that are not loopback.");
}

}  // namespace

rpc::OptionTable MakeOptionTable(RouterOptions& options) {
  rpc::OptionTable table("banyan-router",
                         "Sends requests to the worker that answers them soonest, over gRPC.");
  AddWorkerOptions(table, options);
  AddServingOptions(table, options);
  AddNetworkOptions(table, options);
  rpc::AddLogOptions(table, options.log);
  table.Example("banyan-router --workers 127.0.0.1:7080 --workers 127.0.0.1:7081",
                "Serves two workers on 127.0.0.1:7070.");
  table.Example("banyan-router --workers dns:///banyan-llama:7080",
                "Follows the pods behind a headless Service.");
  return table;
}

absl::Status CheckOptions(const RouterOptions& options) {
  const int64_t index_bytes = options.max_index_bytes.value_or(kIndexBytesMax);
  if (index_bytes < kIndexBytesMin || index_bytes > kIndexBytesMax) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "--max-index-bytes: out of range, want 1M to 16G, got %d bytes", index_bytes));
  }
  if (options.pool.empty() || options.pool.size() > 128) {
    return absl::InvalidArgumentError("--pool: want 1 to 128 bytes");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadClusterSecret(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--cluster-secret-file: cannot read %s", path));
  }
  std::string secret{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
  if (secret.size() < kSecretBytesMin || secret.size() > kSecretBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--cluster-secret-file: want %d to %d bytes, got %d in %s", kSecretBytesMin,
                        kSecretBytesMax, secret.size(), path));
  }
  return secret;
}

}  // namespace banyan::router
