#include "worker/service/worker_options.h"

#include "absl/strings/str_format.h"

namespace banyan::worker {
namespace {

constexpr int64_t kCpuBlockTokens = 16;  // kernels/cpu keeps keys and values in tiles of 16 tokens

void AddModelOptions(rpc::OptionTable& table, WorkerOptions& options) {
  table.Section("Model");
  table.Text("model", "PATH", options.model,
             "A .gguf file, or a Hugging Face directory with config.json.");
  table.Text("served-model-name", "NAME", options.served_model_name,
             "Name under which requests ask for the model; without it, the model's own.");
  table.Integer("context-length", "N", {1, 1 << 24}, options.context_length,
                "Longest sequence in tokens, prompt and output together; without it, what the "
                "model was trained for.");
}

void AddComputeOptions(rpc::OptionTable& table, WorkerOptions& options) {
  table.Section("Compute");
  table.Choice("backend", {"cpu", "reference"}, options.backend,
               "What computes. reference is slow and exact: for tests and tiny models.");
  table.Choice("dtype", {"bf16", "f32"}, options.dtype,
               "Type of activations and KV cache; quantized weights keep their own.");
  table.Choice("isa", {"auto", "scalar", "avx2", "avx512"}, options.isa,
               "Instruction set of the cpu backend; auto takes the fastest that this machine has.");
  table.Integer("threads", "N", {0, 512}, options.threads,
                "Compute threads; 0 takes one for each usable core.");
}

void AddCapacityOptions(rpc::OptionTable& table, WorkerOptions& options) {
  table.Section("Capacity");
  table.Integer("kv-cache-tokens", "N", {1, int64_t{1} << 32}, options.kv_cache_tokens,
                "Size of the KV cache in tokens. Without it and --kv-cache-bytes: half of the "
                "memory that the model leaves, at most 4 GiB and at most what the largest batch "
                "can use.");
  table.Bytes("kv-cache-bytes", options.kv_cache_bytes, "Size of the KV cache in bytes.");
  table.Integer("block-size", "N", {1, 256}, options.block_size,
                "Tokens per KV block; a multiple of 16 on the cpu backend.");
  table.Integer("max-step-tokens", "N", {1, 65'536}, options.max_step_tokens,
                "Most tokens of one engine step, prefill and decode together.");
  table.Integer("max-running-sequences", "N", {1, 4'096}, options.max_running_sequences,
                "Most sequences of one batch.");
  table.Integer("max-waiting-requests", "N", {1, 1 << 20}, options.max_waiting_requests,
                "Requests that may wait; further ones are refused with RESOURCE_EXHAUSTED.");
  table.Switch("no-prefix-cache", options.no_prefix_cache,
               "Do not keep the KV of ended requests for later ones with the same prefix.");
}

void AddNetworkOptions(rpc::OptionTable& table, WorkerOptions& options) {
  table.Section("Network");
  table.Text("worker-id", "ID", options.worker_id,
             "Name of this worker, stable across restarts, for example the pod's; without it, "
             "host name and port.");
  table.Text("listen", "HOST:PORT", options.listen,
             "The gRPC port for routers. Port 0: the kernel chooses.");
  table.Text("metrics-listen", "HOST:PORT", options.metrics_listen, "GET /metrics.");
  table.Text("health-listen", "HOST:PORT", options.health_listen,
             "grpc.health.v1 in plaintext, for probes.");
  table.Text("port-file", "PATH", options.port_file,
             "Write the addresses in use to this file, as JSON, once all ports are open.");
  table.Switch("insecure", options.insecure,
               "Allow plaintext without keys on addresses that are not loopback.");
  table.Integer("drain-deadline-s", "N", {0, 86'400}, options.drain_deadline_s,
                "After SIGTERM, seconds until what still runs is handed over to other workers.");
}

}  // namespace

rpc::OptionTable MakeOptionTable(WorkerOptions& options) {
  rpc::OptionTable table("banyan-worker", "Serves one replica of a model to routers, over gRPC.");
  AddModelOptions(table, options);
  AddComputeOptions(table, options);
  AddCapacityOptions(table, options);
  AddNetworkOptions(table, options);
  rpc::AddLogOptions(table, options.log);
  table.Example("banyan-worker --model qwen2.5-0.5b-instruct-q4_0.gguf",
                "Serves a GGUF file on 127.0.0.1:7080.");
  table.Example("banyan-worker --model /models/llama --kv-cache-tokens 65536 --listen :7081",
                "Serves a directory with a fixed KV cache on another port.");
  return table;
}

absl::Status CheckOptions(const WorkerOptions& options) {
  if (options.model.empty()) {
    return absl::InvalidArgumentError("--model is missing; see banyan-worker --help");
  }
  if (options.kv_cache_tokens.has_value() && options.kv_cache_bytes.has_value()) {
    return absl::InvalidArgumentError(
        "--kv-cache-tokens and --kv-cache-bytes say the same thing: give one of them");
  }
  if (options.max_step_tokens < options.max_running_sequences) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "--max-step-tokens: a step of a full batch needs a token for each of the %d sequences "
        "(--max-running-sequences), got %d",
        options.max_running_sequences, options.max_step_tokens));
  }
  if (options.backend == "cpu" && options.block_size % kCpuBlockTokens != 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--block-size: the cpu backend takes multiples of %d tokens, got %d",
                        kCpuBlockTokens, options.block_size));
  }
  if (options.worker_id.size() > 128) {
    return absl::InvalidArgumentError("--worker-id: longer than 128 bytes");
  }
  return absl::OkStatus();
}

}  // namespace banyan::worker
