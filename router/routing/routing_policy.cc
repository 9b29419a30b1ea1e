#include "router/routing/routing_policy.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace banyan::router {
namespace {

constexpr double kCrowdingExponent = 0.7;
constexpr double kPrefillLoadMax = 0.9;
constexpr double kTieRatio = 1.001;
constexpr double kFinishedPerSecondUnknown = 0.2;
constexpr double kSecondsToFreeUnknown = 5;
constexpr size_t kSampleSize = 8;

// splitmix64: the next of a sequence of well-mixed numbers.
uint64_t NextRandom(uint64_t& state) {
  state += 0x9e3779b97f4a7c15;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

double Positive(double x) { return std::max(0.0, x); }

// Moves `count` random elements of `pool` into `chosen`.
void Draw(std::vector<size_t>& pool, size_t count, uint64_t& state, std::vector<size_t>& chosen) {
  for (size_t i = 0; i < std::min(count, pool.size()); ++i) {
    const size_t j = i + NextRandom(state) % (pool.size() - i);
    std::swap(pool[i], pool[j]);
    chosen.push_back(pool[i]);
  }
}

}  // namespace

RoutingCost CostOf(const CandidateWorker& worker, const RoutingRequest& request) {
  RoutingCost cost;
  const double b = worker.step.per_prefill_token_s;
  const double n = worker.decoding_sequences;
  const double matched = std::min(worker.matched_tokens, request.prompt_tokens - 1);
  const double u = request.prompt_tokens - Positive(matched);
  const double fixed = worker.step.base_s + worker.step.per_sequence_s * n +
                       worker.step.per_kv_token_s * worker.decoding_kv_tokens;
  const double chunk = std::max(1.0, worker.step_tokens_max - n);
  const double per_token = fixed / chunk + b;
  const double computed_since = per_token > 0 ? worker.report_age_s / per_token : 0;
  const double queued =
      Positive(worker.waiting_prefill_tokens - computed_since) + worker.unreported_prefill_tokens;
  const double requests = worker.requests + worker.unreported_requests;

  const double kv_missing =
      Positive(worker.kv_tokens_active + worker.kv_tokens_pending + request.prompt_tokens +
               request.expected_output_tokens - worker.kv_tokens_total);
  const double freed_per_s =
      worker.kv_tokens_freed_per_s > 0
          ? worker.kv_tokens_freed_per_s
          : (request.prompt_tokens + request.expected_output_tokens) / kSecondsToFreeUnknown;
  const double finished_per_s = worker.requests_finished_per_s > 0 ? worker.requests_finished_per_s
                                                                   : kFinishedPerSecondUnknown;
  cost.kv_wait_s = kv_missing / freed_per_s;
  const double place_wait = Positive(requests + 1 - worker.running_sequences_max) / finished_per_s;
  const double wait = std::max(cost.kv_wait_s, place_wait);
  const bool busy = requests > 0;

  cost.uncached_tokens = u;
  cost.queued_tokens = queued;
  cost.ttft_s = fixed * std::max(1.0, (queued + u) / chunk) + b * (queued + u) +
                (busy ? fixed / 2 : 0) + wait;
  cost.prefill_s = fixed * std::max(1.0, u / chunk) + b * u;
  cost.queue_s = cost.ttft_s - cost.prefill_s;
  const double added = u * per_token;
  const double ahead = queued * per_token;
  cost.delay_s = added * request.arrivals_per_s * (ahead + added / 2) /
                 (1 - std::min(request.prefill_load, kPrefillLoadMax));
  cost.crowding = std::pow(requests + 1, kCrowdingExponent);
  cost.total = (cost.ttft_s + cost.delay_s) * cost.crowding * worker.slow_start_factor;
  return cost;
}

std::optional<RoutingChoice> Choose(std::span<const CandidateWorker> candidates,
                                    const RoutingRequest& request) {
  if (candidates.empty()) return std::nullopt;
  RoutingChoice choice;
  choice.costs.reserve(candidates.size());
  double best = INFINITY;
  double longest = 0;
  for (const CandidateWorker& candidate : candidates) {
    choice.costs.push_back(CostOf(candidate, request));
    best = std::min(best, choice.costs.back().total);
    longest = std::max(longest, candidate.matched_tokens);
  }
  std::vector<size_t> tied;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (choice.costs[i].total <= best * kTieRatio) tied.push_back(i);
  }
  if (request.has_session) {
    choice.index = *std::max_element(tied.begin(), tied.end(), [&](size_t a, size_t b) {
      return candidates[a].session_rank < candidates[b].session_rank;
    });
  } else {
    uint64_t state = request.random;
    choice.index = tied[NextRandom(state) % tied.size()];
  }
  const double matched = candidates[choice.index].matched_tokens;
  if (candidates.size() == 1) {
    choice.reason = RoutingReason::kOnlyCandidate;
  } else if (request.has_session && tied.size() > 1) {
    choice.reason = RoutingReason::kSession;
  } else if (longest == 0) {
    choice.reason = RoutingReason::kLoad;
  } else if (matched == longest) {
    choice.reason = RoutingReason::kPrefix;
  } else {
    choice.reason = RoutingReason::kPrefixTooBusy;
  }
  return choice;
}

std::vector<size_t> SampleCandidates(std::span<const uint32_t> matched, uint32_t num_routers,
                                     uint64_t random) {
  std::vector<size_t> all(matched.size());
  std::iota(all.begin(), all.end(), size_t{0});
  if (num_routers <= 1 || matched.size() <= kSampleSize) return all;
  std::vector<size_t> matching;
  for (const size_t i : all) {
    if (matched[i] > 0) matching.push_back(i);
  }
  std::vector<size_t> chosen;
  if (!matching.empty()) {
    chosen.push_back(*std::max_element(matching.begin(), matching.end(), [&](size_t a, size_t b) {
      return matched[a] < matched[b];
    }));
  }
  uint64_t state = random;
  Draw(all, kSampleSize, state, chosen);
  Draw(matching, kSampleSize, state, chosen);
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  return chosen;
}

}  // namespace banyan::router
