// Which processes `banyan serve` starts, with which flags and ports. Pure: nothing is started here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/rpc/listen_address.h"

namespace banyan::cli {

struct ServeOptions {
  std::string model;              // name, file or directory
  std::string served_model_name;  // empty: from the model's own name
  int64_t num_workers = 1;
  std::string listen = "127.0.0.1:7070";
  std::string dtype = "bf16";
  std::string isa = "auto";
  std::string backend = "cpu";
  int64_t threads = 0;          // of all workers together; 0: all cores
  int64_t kv_cache_tokens = 0;  // per worker; 0: from memory
  int64_t context_length = 0;   // 0: the model's
  std::string policy = "cost";
  int64_t start_timeout_s = 900;
  int64_t drain_deadline_s = 30;
  bool insecure = false;
  std::string log_format = "text";
  std::string log_level = "warning";
  std::string state_dir;                 // logs and port files; empty: a new folder under /tmp
  std::vector<std::string> worker_args;  // passed on as they are
  std::vector<std::string> router_args;
};

// Ports of the router relative to --listen, and of worker i: 7070 gives metrics 7071, admin 7072,
// health 7073, worker i 7080 + i with metrics 7180 + i and health 7280 + i. Port 0 leaves every
// port to the kernel.
struct ProcessPorts {
  rpc::ListenAddress listen;
  rpc::ListenAddress metrics;
  rpc::ListenAddress health;
  rpc::ListenAddress admin;  // router only
};
inline constexpr int64_t kWorkersMax = 64;

ProcessPorts RouterPorts(const rpc::ListenAddress& listen);
ProcessPorts WorkerPorts(const rpc::ListenAddress& listen, int64_t index);

// INVALID_ARGUMENT names the flag.
absl::Status CheckServeOptions(const ServeOptions& options);

// Without the program's name.
std::vector<std::string> WorkerArguments(const ServeOptions& options,
                                         const std::filesystem::path& model, int64_t index,
                                         const ProcessPorts& ports,
                                         const std::filesystem::path& port_file);
std::vector<std::string> RouterArguments(const ServeOptions& options, const ProcessPorts& ports,
                                         const std::vector<std::string>& worker_addresses,
                                         const std::filesystem::path& port_file);

}  // namespace banyan::cli
