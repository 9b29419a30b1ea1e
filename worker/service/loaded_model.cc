#include "worker/service/loaded_model.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/rpc/build_info.h"
#include "common/rpc/process_stats.h"
#include "common/rpc/request_limits.h"
#include "worker/model/load_model.h"
#include "worker/model/memory_plan.h"
#include "worker/service/backend_factory.h"
#include "worker/service/capacity_plan.h"
#include "worker/service/model_fingerprint.h"
#include "worker/service/warm_up.h"

namespace banyan::worker {
namespace {

constexpr Duration kProgressPeriod = std::chrono::milliseconds(250);

double SecondsSince(TimePoint begin) { return ToSeconds(Clock::Real().Now() - begin); }

// Logs at most every kProgressPeriod, and the end.
class ProgressLog {
 public:
  void operator()(size_t done, size_t total) {
    const TimePoint now = Clock::Real().Now();
    if (complete_ || (done < total && now < next_)) return;
    complete_ = done >= total;
    next_ = now + kProgressPeriod;
    const double seconds = std::max(ToSeconds(now - begin_), 1e-9);
    Log(LogSeverity::kInfo, "worker_loading")
        .Field("bytes", done)
        .Field("total", total)
        .Field("bytes_per_s", static_cast<double>(done) / seconds);
  }

 private:
  TimePoint begin_ = Clock::Real().Now();
  TimePoint next_{};
  bool complete_ = false;  // the end was logged
};

absl::StatusOr<ModelOptions> ResolveModelOptions(const WorkerOptions& options,
                                                 const ModelConfig& config) {
  ModelOptions model;
  model.max_step_tokens = static_cast<int32_t>(options.max_step_tokens);
  model.max_sequences = static_cast<int32_t>(options.max_running_sequences);
  model.context_length = static_cast<int32_t>(options.context_length.value_or(0));
  model.block_size = static_cast<int32_t>(options.block_size);
  return ResolveOptions(config, model);
}

std::string ServedName(const WorkerOptions& options, const ModelConfig& config) {
  if (!options.served_model_name.empty()) return options.served_model_name;
  if (!config.name.empty()) return config.name;
  return std::filesystem::path(options.model).lexically_normal().filename().string();
}

void FillIdentity(const WorkerOptions& options, const Checkpoint& checkpoint,
                  const ModelOptions& model, int32_t num_blocks, LoadedModel& loaded) {
  const ModelConfig& config = checkpoint.config();
  WorkerIdentity& identity = loaded.identity;
  identity.version = rpc::FullVersion();
  identity.model = ServedName(options, config);
  identity.kv_format =
      loaded.backend->activation_dtype() == kernels::DType::kFloat32 ? "f32" : "bf16";
  identity.model_card_digest = loaded.card->digest();
  identity.model_fingerprint = ModelFingerprint(checkpoint, loaded.card->digest(),
                                                loaded.backend->numerics_id(), identity.kv_format);
  identity.architecture = config.architecture_name;
  identity.weight_format = checkpoint.weight_format();
  identity.backend = loaded.backend->name();
  identity.context_length = model.context_length;
  identity.vocabulary_size = static_cast<int32_t>(config.vocabulary_size);
  identity.hidden_size = static_cast<int32_t>(config.hidden_size);
  identity.block_size = model.block_size;
  identity.num_blocks = num_blocks;
  identity.max_running_sequences = model.max_sequences;
  identity.max_step_tokens = model.max_step_tokens;
  identity.max_waiting_requests = static_cast<int32_t>(options.max_waiting_requests);

  loaded.limits = {.model_fingerprint = identity.model_fingerprint,
                   .context_length = identity.context_length,
                   .vocabulary_size = identity.vocabulary_size,
                   .num_samples_max = std::min(rpc::kSamplesMax, identity.max_running_sequences),
                   .defaults = UsableDefaults(checkpoint.generation_defaults())};
  loaded.eos_token_ids = config.eos_token_ids;
}

void LogPlan(const LoadedModel& loaded, const MemoryPlan& plan, int64_t available_bytes) {
  const WorkerIdentity& identity = loaded.identity;
  const int64_t tokens = int64_t{identity.num_blocks} * identity.block_size;
  Log(LogSeverity::kInfo, "worker_plan")
      .Field("model", identity.model)
      .Field("architecture", identity.architecture)
      .Field("weight_format", identity.weight_format)
      .Field("backend", identity.backend)
      .Field("numerics", loaded.backend->numerics_id())
      .Field("context_length", identity.context_length)
      .Field("weight_bytes", plan.weight_bytes)
      .Field("workspace_bytes", plan.rope_bytes + plan.activation_bytes)
      .Field("kv_bytes", plan.kv_bytes_per_block * static_cast<size_t>(identity.num_blocks))
      .Field("kv_tokens", tokens)
      .Field("concurrency_at_4096_tokens", tokens / 4096)
      .Field("available_bytes", available_bytes);
  if (tokens < identity.context_length) {
    Log(LogSeverity::kWarning, "kv_cache_small")
        .Field("kv_tokens", tokens)
        .Field("context_length", identity.context_length)
        .Field("effect", "sequences longer than the KV cache are refused")
        .Field("remedy", "raise --kv-cache-tokens or lower --context-length");
  }
}

}  // namespace

absl::StatusOr<LoadedModel> LoadForServing(const WorkerOptions& options) {
  const TimePoint begin = Clock::Real().Now();
  LoadedModel loaded;
  BANYAN_ASSIGN_OR_RETURN(const std::unique_ptr<Checkpoint> checkpoint,
                          Checkpoint::Open(options.model));
  BANYAN_ASSIGN_OR_RETURN(loaded.backend, CreateBackend(options));
  BANYAN_ASSIGN_OR_RETURN(const ModelOptions model,
                          ResolveModelOptions(options, checkpoint->config()));
  const MemoryPlan plan = PlanMemory(checkpoint->config(), model, *loaded.backend);
  const int64_t available_bytes = rpc::AvailableMemoryBytes();
  BANYAN_ASSIGN_OR_RETURN(const int32_t num_blocks,
                          PlanBlocks(plan, {.kv_tokens = options.kv_cache_tokens,
                                            .kv_bytes = options.kv_cache_bytes,
                                            .block_size = model.block_size,
                                            .context_length = model.context_length,
                                            .max_running_sequences = model.max_sequences,
                                            .available_bytes = available_bytes}));
  loaded.card = std::make_unique<ModelCard>(checkpoint->text_assets());
  FillIdentity(options, *checkpoint, model, num_blocks, loaded);
  LogPlan(loaded, plan, available_bytes);
  loaded.times.read_s = SecondsSince(begin);

  const TimePoint convert_begin = Clock::Real().Now();
  BANYAN_ASSIGN_OR_RETURN(std::unique_ptr<Transformer> transformer,
                          LoadModel(*checkpoint, *loaded.backend, model, ProgressLog()));
  loaded.memory = {.weights = static_cast<double>(transformer->weights().SizeBytes()),
                   .kv = static_cast<double>(plan.kv_bytes_per_block) * num_blocks,
                   .workspace = static_cast<double>(plan.rope_bytes + plan.activation_bytes)};
  BANYAN_ASSIGN_OR_RETURN(loaded.executor,
                          ModelExecutor::Create(std::move(transformer), num_blocks));
  loaded.times.convert_s = SecondsSince(convert_begin);

  const TimePoint warm_up_begin = Clock::Real().Now();
  BANYAN_RETURN_IF_ERROR(WarmUp(*loaded.executor, {.block_size = model.block_size,
                                                   .num_blocks = num_blocks,
                                                   .max_step_tokens = model.max_step_tokens,
                                                   .context_length = model.context_length}));
  loaded.times.warmup_s = SecondsSince(warm_up_begin);
  return loaded;
}

}  // namespace banyan::worker
