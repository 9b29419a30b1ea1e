// The list of the router's metrics: names, types, labels with their closed values, help.
#include "router/router_metrics.h"

namespace banyan::router {
namespace {

using rpc::BucketSet;
using rpc::MetricLabel;
using rpc::MetricSpec;
using rpc::MetricType;

MetricLabel Label(std::string_view name) { return {name, {}}; }
MetricLabel ClassLabel() { return {"class", {"realtime", "interactive", "batch"}}; }

std::vector<MetricSpec> RequestMetrics() {
  return {
      {"banyan_router_requests_total",
       MetricType::kCounter,
       "Client requests that ended.",
       {Label("model"),
        ClassLabel(),
        {"protocol", {"grpc"}},
        {"outcome",
         {"ok", "cancelled", "invalid", "denied", "not_found", "rejected", "deadline",
          "unavailable", "internal"}}}},
      {"banyan_router_requests_active",
       MetricType::kGauge,
       "Client requests that are open.",
       {ClassLabel()}},
      {"banyan_router_ttft_seconds",
       MetricType::kHistogram,
       "From arrival to the first token written to the client.",
       {Label("model"), ClassLabel()},
       BucketSet::kSeconds},
      {"banyan_router_itl_seconds",
       MetricType::kHistogram,
       "Gap between two messages with tokens; once per message after the first.",
       {Label("model"), ClassLabel()},
       BucketSet::kGap},
      {"banyan_router_e2e_seconds",
       MetricType::kHistogram,
       "From arrival to the last message.",
       {Label("model"), ClassLabel()},
       BucketSet::kSeconds},
      {"banyan_router_stage_seconds",
       MetricType::kHistogram,
       "The router's own work per request.",
       {{"stage", {"parse", "template", "tokenize", "choose", "forward"}}},
       BucketSet::kMicro},
      {"banyan_router_request_prompt_tokens",
       MetricType::kHistogram,
       "Prompt length.",
       {Label("model")},
       BucketSet::kTokens},
      {"banyan_router_request_output_tokens",
       MetricType::kHistogram,
       "Output length per sample.",
       {Label("model")},
       BucketSet::kTokens},
      {"banyan_router_prompt_tokens_total",
       MetricType::kCounter,
       "Prompt tokens.",
       {Label("model"), ClassLabel()}},
      {"banyan_router_cached_tokens_total",
       MetricType::kCounter,
       "Prompt tokens served from a prefix cache.",
       {Label("model"), ClassLabel()}},
      {"banyan_router_generation_tokens_total",
       MetricType::kCounter,
       "Generated tokens.",
       {Label("model"), ClassLabel()}},
  };
}

std::vector<MetricSpec> RoutingMetrics() {
  return {
      {"banyan_router_expected_cached_tokens_total",
       MetricType::kCounter,
       "Prompt tokens that the router expected to be cached.",
       {Label("pool")}},
      {"banyan_router_decisions_total",
       MetricType::kCounter,
       "Routing decisions.",
       {Label("pool"),
        {"reason",
         {"prefix", "load", "prefix_too_busy", "session", "only_candidate", "retry", "resume",
          "panic"}}}},
      {"banyan_router_ttft_prediction_ratio",
       MetricType::kHistogram,
       "Actual over expected time to first token.",
       {Label("pool")},
       BucketSet::kRatio},
      {"banyan_router_retries_total",
       MetricType::kCounter,
       "Requests sent to another worker before the first token.",
       {Label("pool"), {"cause", {"connect", "unavailable", "rejected"}}}},
      {"banyan_router_retry_budget_ratio", MetricType::kGauge,
       "Part of the retry budget that is left."},
      {"banyan_router_tree_nodes", MetricType::kGauge, "Nodes of the prefix tree."},
      {"banyan_router_tree_bytes", MetricType::kGauge, "Bytes of the prefix tree."},
      {"banyan_router_tree_bytes_max", MetricType::kGauge, "Bound of the prefix tree."},
      {"banyan_router_tree_evictions_total", MetricType::kCounter, "Nodes dropped for the bound."},
  };
}

std::vector<MetricSpec> WorkerMetrics() {
  return {
      {"banyan_router_workers",
       MetricType::kGauge,
       "Workers.",
       {Label("pool"),
        {"health", {"connecting", "healthy", "slow_start", "stale", "ejected", "draining"}}}},
      {"banyan_router_worker_active_streams",
       MetricType::kGauge,
       "Streams open at the worker.",
       {Label("pool"), Label("worker")}},
      {"banyan_router_worker_load_age_seconds",
       MetricType::kGauge,
       "Age of the last load report.",
       {Label("pool"), Label("worker")}},
      {"banyan_router_worker_tree_blocks",
       MetricType::kGauge,
       "Blocks that the tree holds for the worker.",
       {Label("pool"), Label("worker")}},
      {"banyan_router_worker_errors_total",
       MetricType::kCounter,
       "Calls that failed, by canonical code.",
       {Label("pool"), Label("worker"), Label("code")}},
      {"banyan_router_worker_resyncs_total",
       MetricType::kCounter,
       "Cache streams begun anew.",
       {Label("pool"),
        Label("worker"),
        {"cause", {"gap", "epoch", "malformed", "count", "reconnect"}}}},
  };
}

std::vector<MetricSpec> ServingMetrics() {
  return {
      {"banyan_router_slow_readers_total", MetricType::kCounter,
       "Streams ended because the client did not read."},
      {"banyan_router_grpc_calls_total",
       MetricType::kCounter,
       "gRPC calls that ended.",
       {Label("method"), Label("code")}},
      {"banyan_router_draining", MetricType::kGauge, "1 while the router drains."},
  };
}

}  // namespace

std::span<const rpc::MetricSpec> RouterMetricSpecs() {
  static const std::vector<MetricSpec> specs = [] {
    std::vector<MetricSpec> all;
    for (const auto& group :
         {RequestMetrics(), RoutingMetrics(), WorkerMetrics(), ServingMetrics()}) {
      all.insert(all.end(), group.begin(), group.end());
    }
    return all;
  }();
  return specs;
}

}  // namespace banyan::router
