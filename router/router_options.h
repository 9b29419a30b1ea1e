// The flags of banyan-router, with defaults. Plain data; each flag has a BANYAN_ environment
// variable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/rpc/listen_address.h"
#include "common/rpc/log_options.h"
#include "common/rpc/option_table.h"

namespace banyan::router {

struct RouterOptions {
  std::vector<std::string> workers;  // host:port, or dns:///name:port
  std::string pool = "default";
  std::string policy = "cost";  // cost, round-robin

  std::string listen = "127.0.0.1:7070";
  std::string metrics_listen = "127.0.0.1:7071";
  std::string admin_listen = "127.0.0.1:7072";
  std::string health_listen = "127.0.0.1:7073";
  std::string port_file;            // empty: none
  std::string cluster_secret_file;  // empty: none
  bool insecure = false;

  std::optional<int64_t> max_index_bytes;  // absent: 1 GiB
  int64_t max_active_requests = 4096;
  int64_t text_threads = 0;  // 0: all usable cores
  int64_t drain_admit_ms = 3000;
  int64_t drain_deadline_s = 30;

  rpc::LogOptions log;

  rpc::TransportSecurity security() const {
    return insecure ? rpc::TransportSecurity::kInsecure : rpc::TransportSecurity::kLoopbackOnly;
  }
};

// The table that fills `options`, which must outlive it.
rpc::OptionTable MakeOptionTable(RouterOptions& options);

// What no single flag's own check can see.
absl::Status CheckOptions(const RouterOptions& options);

// The secret in the file, line end cut off. INVALID_ARGUMENT where it cannot be read or is shorter
// than 16 bytes.
absl::StatusOr<std::string> ReadClusterSecret(const std::string& path);

}  // namespace banyan::router
