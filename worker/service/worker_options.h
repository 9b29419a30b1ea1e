// The flags of banyan-worker: what a person or a supervisor may say, with defaults. Plain data;
// each flag has a BANYAN_ environment variable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/rpc/listen_address.h"
#include "common/rpc/log_options.h"
#include "common/rpc/option_table.h"

namespace banyan::worker {

struct WorkerOptions {
  std::string model;              // --model; must be set
  std::string served_model_name;  // empty: the checkpoint's own name
  std::string worker_id;          // empty: host name and port
  std::string backend = "cpu";    // cpu, reference
  std::string dtype = "bf16";     // bf16, f32
  std::string isa = "auto";       // auto, scalar, avx2, avx512
  int64_t threads = 0;            // 0: all usable cores

  std::optional<int64_t> context_length;   // absent: the model's
  std::optional<int64_t> kv_cache_tokens;  // at most one of the two; absent: from memory
  std::optional<int64_t> kv_cache_bytes;
  int64_t block_size = 16;
  int64_t max_step_tokens = 512;
  int64_t max_running_sequences = 64;
  int64_t max_waiting_requests = 512;
  bool no_prefix_cache = false;

  std::string listen = "127.0.0.1:7080";
  std::string metrics_listen = "127.0.0.1:7180";
  std::string health_listen = "127.0.0.1:7280";
  std::string port_file;  // empty: none
  bool insecure = false;
  int64_t drain_deadline_s = 30;

  rpc::LogOptions log;

  rpc::TransportSecurity security() const {
    return insecure ? rpc::TransportSecurity::kInsecure : rpc::TransportSecurity::kLoopbackOnly;
  }
};

// The table that fills `options`, which must outlive it.
rpc::OptionTable MakeOptionTable(WorkerOptions& options);

// What no single flag's own check can see: INVALID_ARGUMENT names the flags.
absl::Status CheckOptions(const WorkerOptions& options);

}  // namespace banyan::worker
