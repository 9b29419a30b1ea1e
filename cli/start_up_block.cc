#include "cli/start_up_block.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "common/rpc/build_info.h"

namespace banyan::cli {
namespace {

constexpr double kMegabyte = 1e6;

// 65536 -> "65,536"
std::string Grouped(int64_t value) {
  std::string digits = absl::StrFormat("%d", value);
  for (int i = static_cast<int>(digits.size()) - 3; i > 0; i -= 3)
    digits.insert(static_cast<size_t>(i), 1, ',');
  return digits;
}

std::string Megabytes(int64_t bytes) {
  return absl::StrFormat("%.0f MB", static_cast<double>(bytes) / kMegabyte);
}

}  // namespace

std::string FormatStartUpBlock(const StartUpFacts& facts) {
  const ChildLogLine& plan = facts.worker_plan;
  std::string out = absl::StrFormat("\nBanyan %s is up\n\n", rpc::FullVersion());
  const auto line = [&out](std::string_view label, const std::string& text) {
    out += absl::StrFormat("  %-12s %s\n", label, text);
  };
  line("model", absl::StrFormat("%s (%s, %s on disk)", plan.Text("model"),
                                plan.Text("architecture"), plan.Text("weight_format")));
  line("from", facts.model_path);
  line("computes in", absl::StrFormat("%s, %s", facts.dtype, plan.Text("numerics")));
  line("context", absl::StrFormat("%s tokens", Grouped(plan.Integer("context_length"))));
  line("memory", absl::StrFormat("weights %s, workspace %s, KV cache %s, per worker",
                                 Megabytes(plan.Integer("weight_bytes")),
                                 Megabytes(plan.Integer("workspace_bytes")),
                                 Megabytes(plan.Integer("kv_bytes"))));
  const int64_t tokens = plan.Integer("kv_tokens") * static_cast<int64_t>(facts.workers.size());
  // What one request can be at most, where the model's context is shorter than the usual yardstick.
  const int64_t yardstick = std::clamp<int64_t>(plan.Integer("context_length"), 1, 4096);
  line("KV cache",
       absl::StrFormat("%s tokens in all workers; maximum concurrency for %s tokens: %dx",
                       Grouped(tokens), Grouped(yardstick), tokens / yardstick));
  out += '\n';
  line("router", absl::StrFormat("%s  (admin %s, health %s)", facts.router.listen.ToString(),
                                 facts.router.admin.ToString(), facts.router.health.ToString()));
  line("  metrics", absl::StrFormat("http://%s/metrics", facts.router.metrics.ToString()));
  for (size_t i = 0; i < facts.workers.size(); ++i) {
    const ProcessPorts& ports = facts.workers[i];
    line(absl::StrFormat("worker %d", i),
         absl::StrFormat("%s  (health %s)", ports.listen.ToString(), ports.health.ToString()));
    line("  metrics", absl::StrFormat("http://%s/metrics", ports.metrics.ToString()));
  }
  line("logs", facts.state_dir);
  out += absl::StrFormat(
      "\nTry:  banyan chat --address %s --message \"What is the capital of France?\"\n"
      "      banyan workers --admin %s\n\n",
      facts.router.listen.ToString(), facts.router.admin.ToString());
  return out;
}

}  // namespace banyan::cli
