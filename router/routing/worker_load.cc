#include "router/routing/worker_load.h"

#include <algorithm>
#include <cmath>

namespace banyan::router {
namespace {

constexpr double kAverageSeconds = 5;

// What a peer sends as a rate or a time may be anything; only finite values >= 0 are let in.
double Sane(double value) { return std::isfinite(value) && value > 0 ? value : 0; }

double Growth(uint64_t before, uint64_t after) {
  return after > before ? static_cast<double>(after - before) : 0;
}

}  // namespace

void WorkerLoad::OnReport(const LoadReport& report, TimePoint now) {
  const bool continues = reported_ && report.epoch == report_.epoch;
  const double seconds = ToSeconds(now - reported_at_);
  if (continues && seconds > 0) {
    const double weight = 1 - std::exp(-seconds / kAverageSeconds);
    const double there_before = report_.running_sequences + report_.waiting_requests;
    const double there_now = report.running_sequences + report.waiting_requests;
    const double arrivals =
        Growth(report_.requests_finished, report.requests_finished) + there_now - there_before;
    arrivals_per_s_ += weight * (std::max(0.0, arrivals) / seconds - arrivals_per_s_);
    const double looked_up = Growth(report_.prefix_lookup_tokens, report.prefix_lookup_tokens);
    const double hit = Growth(report_.prefix_hit_tokens, report.prefix_hit_tokens);
    const double computed_s =
        std::max(0.0, looked_up - hit) * Sane(report.step.per_prefill_token_s);
    prefill_load_ += weight * (std::min(1.0, computed_s / seconds) - prefill_load_);
  }
  if (!continues) {
    // A new process starts to count dispatches anew only for us: what was sent before is gone.
    if (reported_) unreported_.clear();
  }
  reported_ = true;
  reported_at_ = now;
  report_ = report;
  report_.step = {Sane(report.step.base_s), Sane(report.step.per_prefill_token_s),
                  Sane(report.step.per_sequence_s), Sane(report.step.per_kv_token_s)};
  report_.kv_blocks_freed_per_s = Sane(report.kv_blocks_freed_per_s);
  report_.requests_finished_per_s = Sane(report.requests_finished_per_s);
  unreported_.erase(unreported_.begin(), unreported_.upper_bound(report.dispatch_sequence_seen));
}

uint64_t WorkerLoad::OnDispatch(uint64_t uncached_tokens) {
  unreported_[++last_dispatch_] = uncached_tokens;
  return last_dispatch_;
}

void WorkerLoad::Forget() {
  reported_ = false;
  unreported_.clear();
}

CandidateWorker WorkerLoad::ToCandidate(const StepModel& fallback, TimePoint now) const {
  CandidateWorker worker;
  const double block = block_size_;
  worker.step = report_.step.known() ? report_.step : fallback;
  worker.report_age_s = std::max(0.0, ToSeconds(now - reported_at_));
  worker.waiting_prefill_tokens = static_cast<double>(report_.waiting_prefill_tokens);
  worker.decoding_sequences = report_.decoding_sequences;
  worker.decoding_kv_tokens = static_cast<double>(report_.decoding_kv_tokens);
  worker.requests = static_cast<double>(report_.running_sequences) + report_.waiting_requests;
  worker.step_tokens_max = std::max(1u, report_.step_tokens_max);
  worker.running_sequences_max = std::max(1u, report_.running_sequences_max);
  worker.kv_tokens_total = report_.kv_blocks_total * block;
  worker.kv_tokens_active = report_.kv_blocks_used * block;
  worker.kv_tokens_pending = report_.kv_blocks_wanted * block;
  worker.kv_tokens_freed_per_s = report_.kv_blocks_freed_per_s * block;
  worker.requests_finished_per_s = report_.requests_finished_per_s;
  worker.unreported_requests = static_cast<double>(unreported_.size());
  for (const auto& [sequence, tokens] : unreported_) {
    worker.unreported_prefill_tokens += static_cast<double>(tokens);
  }
  return worker;
}

CandidateWorker WorkerLoad::ToCandidateOfUnknownLoad(const StepModel& fallback,
                                                     const CandidateWorker& busiest) const {
  CandidateWorker worker = ToCandidate(fallback, reported_at_);
  worker.waiting_prefill_tokens = busiest.waiting_prefill_tokens;
  worker.decoding_sequences = busiest.decoding_sequences;
  worker.decoding_kv_tokens = busiest.decoding_kv_tokens;
  worker.requests = busiest.requests;
  return worker;
}

}  // namespace banyan::router
