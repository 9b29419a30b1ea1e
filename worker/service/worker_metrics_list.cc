// The list of the worker's metrics: names, types, labels with their closed values, help.
#include "worker/service/worker_metrics.h"

namespace banyan::worker {
namespace {

using rpc::BucketSet;
using rpc::MetricLabel;
using rpc::MetricSpec;
using rpc::MetricType;

const MetricLabel& ClassLabel() {
  static const MetricLabel label = {"class", {"realtime", "interactive", "batch"}};
  return label;
}

const MetricLabel& PhaseLabel() {
  static const MetricLabel label = {"phase", {"prefill", "decode", "mixed"}};
  return label;
}

std::vector<MetricSpec> LoadMetrics() {
  return {
      {"banyan_worker_info",
       MetricType::kGauge,
       "Always 1.",
       {{"worker", {}},
        {"model", {}},
        {"weight_format", {}},
        {"kv_format", {}},
        {"backend", {}},
        {"tp_size", {}},
        {"block_size_tokens", {}},
        {"num_kv_blocks", {}},
        {"fingerprint", {}}}},
      {"banyan_worker_running_sequences", MetricType::kGauge, "Sequences in the running batch."},
      {"banyan_worker_waiting_requests", MetricType::kGauge,
       "Requests admitted and not yet running."},
      {"banyan_worker_waiting_prefill_tokens", MetricType::kGauge,
       "Prompt tokens still to compute."},
      {"banyan_worker_oldest_waiting_seconds", MetricType::kGauge,
       "Wait of the oldest waiting request."},
      {"banyan_worker_kv_blocks",
       MetricType::kGauge,
       "KV blocks.",
       {{"state", {"used", "cached", "free"}}}},
      {"banyan_worker_kv_utilization_ratio", MetricType::kGauge, "Used over all KV blocks."},
      {"banyan_worker_draining", MetricType::kGauge, "1 while the worker drains."},
      {"banyan_worker_memory_bytes",
       MetricType::kGauge,
       "Memory held.",
       {{"kind", {"weights", "kv", "workspace", "host"}}}},
      {"banyan_worker_load_seconds",
       MetricType::kGauge,
       "Time to start.",
       {{"phase", {"read", "convert", "warmup"}}}},
      {"banyan_worker_rank_up", MetricType::kGauge, "1 while the rank answers.", {{"rank", {"0"}}}},
  };
}

std::vector<MetricSpec> RequestMetrics() {
  return {
      {"banyan_worker_requests_total",
       MetricType::kCounter,
       "Requests that ended.",
       {{"outcome", {"ok", "cancelled", "invalid", "rejected", "deadline", "drained", "internal"}},
        {"finish_reason", {"stop", "length", "none"}}}},
      {"banyan_worker_inbox_rejected_total", MetricType::kCounter,
       "Requests refused because the inbox was full."},
      {"banyan_worker_prompt_tokens_total",
       MetricType::kCounter,
       "Prompt tokens.",
       {{"source", {"computed", "cached"}}}},
      {"banyan_worker_generation_tokens_total", MetricType::kCounter, "Generated tokens."},
      {"banyan_worker_queue_seconds",
       MetricType::kHistogram,
       "Wait in the worker.",
       {ClassLabel()},
       BucketSet::kSeconds},
      {"banyan_worker_prefill_seconds",
       MetricType::kHistogram,
       "From first step to first token.",
       {ClassLabel()},
       BucketSet::kSeconds},
      {"banyan_worker_decode_seconds",
       MetricType::kHistogram,
       "From first to last token.",
       {ClassLabel()},
       BucketSet::kSeconds},
      {"banyan_worker_ttft_seconds",
       MetricType::kHistogram,
       "From arrival at the worker to the first token.",
       {ClassLabel()},
       BucketSet::kSeconds},
      {"banyan_worker_itl_seconds",
       MetricType::kHistogram,
       "Gap between two messages with tokens.",
       {ClassLabel()},
       BucketSet::kGap},
      {"banyan_worker_e2e_seconds",
       MetricType::kHistogram,
       "From arrival at the worker to the end.",
       {ClassLabel()},
       BucketSet::kSeconds},
  };
}

std::vector<MetricSpec> EngineMetrics() {
  return {
      {"banyan_worker_prefix_lookup_tokens_total", MetricType::kCounter,
       "Prompt tokens looked up in the prefix cache."},
      {"banyan_worker_prefix_hit_tokens_total", MetricType::kCounter, "Prompt tokens found."},
      {"banyan_worker_cache_evicted_blocks_total", MetricType::kCounter, "Cached blocks evicted."},
      {"banyan_worker_cache_watchers", MetricType::kGauge, "Open cache streams."},
      {"banyan_worker_cache_events_total",
       MetricType::kCounter,
       "Cache events sent, in blocks.",
       {{"kind", {"stored", "removed", "cleared", "snapshot"}}}},
      {"banyan_worker_preemptions_total", MetricType::kCounter,
       "Sequences that lost their blocks."},
      {"banyan_worker_steps_total", MetricType::kCounter, "Engine steps that computed."},
      {"banyan_worker_heartbeats_total", MetricType::kCounter, "Engine turns, idle ones included."},
      {"banyan_worker_last_step_timestamp_seconds", MetricType::kGauge,
       "End of the last step that computed."},
      {"banyan_worker_step_seconds",
       MetricType::kHistogram,
       "Duration of a step.",
       {PhaseLabel()},
       BucketSet::kGap},
      {"banyan_worker_step_tokens",
       MetricType::kHistogram,
       "Tokens in a step.",
       {PhaseLabel()},
       BucketSet::kTokens},
      {"banyan_worker_numeric_faults_total", MetricType::kCounter,
       "Requests failed by non-finite logits."},
  };
}

}  // namespace

std::span<const MetricSpec> WorkerMetricSpecs() {
  static const std::vector<MetricSpec> specs = [] {
    std::vector<MetricSpec> all;
    for (const auto& part : {LoadMetrics(), RequestMetrics(), EngineMetrics()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }();
  return specs;
}

}  // namespace banyan::worker
