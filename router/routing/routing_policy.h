// Which worker a request goes to: a pure function of what the router knows. No thresholds and no
// modes; affinity to a prefix, spilling away from a busy worker and replication of a hot prefix all
// follow from one number per worker, the smallest of which wins:
//
//   J = (expected TTFT + delay caused to later arrivals) x (requests there + 1)^0.7
//
// Everything is in seconds and tokens. Stateless; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace banyan::router {

// Time of one engine step: base + per_prefill_token x prefill tokens + per_sequence x decoding
// sequences + per_kv_token x KV tokens that those attend to. All >= 0.
struct StepModel {
  double base_s = 0;
  double per_prefill_token_s = 0;
  double per_sequence_s = 0;
  double per_kv_token_s = 0;

  bool known() const { return base_s > 0 || per_prefill_token_s > 0; }
};

// One worker as the router sees it. All counts are finite and >= 0.
struct CandidateWorker {
  StepModel step = {};
  double report_age_s = 0;
  double waiting_prefill_tokens = 0;  // q, as reported
  double decoding_sequences = 0;      // n
  double decoding_kv_tokens = 0;      // kv
  double requests = 0;                // waiting, prefilling and decoding
  double step_tokens_max = 1;         // chunk
  double running_sequences_max = 1;   // max_batch
  double kv_tokens_total = 0;         // capacity
  double kv_tokens_active = 0;
  double kv_tokens_pending = 0;          // that waiting requests will need
  double kv_tokens_freed_per_s = 0;      // 0: not known
  double requests_finished_per_s = 0;    // 0: not known
  double unreported_requests = 0;        // own dispatches that the report does not contain
  double unreported_prefill_tokens = 0;  // their uncached tokens
  double matched_tokens = 0;             // of this prompt, in its cache
  double slow_start_factor = 1;          // 1 to 4, multiplies J
  uint64_t session_rank = 0;             // rendezvous hash of session and worker; breaks ties
};

struct RoutingRequest {
  double prompt_tokens = 1;
  double expected_output_tokens = 200;
  // Means over the pool: requests that arrive per worker and second, prefill's share of time.
  double arrivals_per_s = 1;
  double prefill_load = 0.3;
  bool has_session = false;
  uint64_t random = 0;  // breaks ties where there is no session
};

// Every line of the cost.
struct RoutingCost {
  double uncached_tokens = 0;  // u
  double queued_tokens = 0;    // Q
  double queue_s = 0;          // wait for batch places and KV, and prefill ahead
  double prefill_s = 0;        // computing u
  double kv_wait_s = 0;        // of queue_s, for KV memory
  double ttft_s = 0;           // all of it, expected
  double delay_s = 0;          // caused to later arrivals
  double crowding = 1;         // (requests there + 1)^0.7
  double total = 0;            // J
};

// Mirrors RoutingReason of the wire.
enum class RoutingReason {
  kPrefix,
  kLoad,
  kPrefixTooBusy,
  kSession,
  kOnlyCandidate,
  kRetry,
  kResume,
  kPanic,
};

struct RoutingChoice {
  size_t index = 0;  // into the candidates
  RoutingReason reason = RoutingReason::kLoad;
  std::vector<RoutingCost> costs;  // beside the candidates
};

RoutingCost CostOf(const CandidateWorker& worker, const RoutingRequest& request);

// Absent where there is no candidate. Reason is one of the first five: the caller knows of retries,
// resumes and panic.
std::optional<RoutingChoice> Choose(std::span<const CandidateWorker> candidates,
                                    const RoutingRequest& request);

// Which workers to weigh: all of them where one router decides; with several, 8 at random, 8 of
// those that match, and the longest match, so that the routers do not herd onto one idle worker.
// `matched` is tokens by worker; the result is ascending.
std::vector<size_t> SampleCandidates(std::span<const uint32_t> matched, uint32_t num_routers,
                                     uint64_t random);

}  // namespace banyan::router
