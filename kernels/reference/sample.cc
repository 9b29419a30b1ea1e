// One token per row of logits, as kernels/sampling_rule.h numbers the steps: adjust, rank by a full
// sort, cut by top_k, top_p and min_p, draw by Gumbel-max.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

#include "common/base/check.h"
#include "kernels/reference/ops.h"
#include "kernels/sampling_rule.h"

namespace banyan::kernels::reference {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

bool HoldsNoNanOrInfinity(std::span<const float> logits) {
  return std::all_of(logits.begin(), logits.end(),
                     [](float logit) { return logit < std::numeric_limits<float>::infinity(); });
}

// Puts the `count` largest of `logits` first in `ranking`, by (logit descending, id ascending).
void RankTop(std::span<const float> logits, int64_t count, std::vector<TokenId>& ranking) {
  ranking.resize(logits.size());
  std::iota(ranking.begin(), ranking.end(), TokenId{0});
  std::partial_sort(ranking.begin(), ranking.begin() + count, ranking.end(),
                    [&](TokenId a, TokenId b) {
                      const float la = logits[static_cast<size_t>(a)];
                      const float lb = logits[static_cast<size_t>(b)];
                      return la != lb ? la > lb : a < b;
                    });
}

// Log-probabilities of the drawn token and the most likely ones, from the raw logits.
void FillLogprobs(std::span<const float> raw, int32_t num_top, std::vector<TokenId>& ranking,
                  SampledToken& out) {
  const float max = *std::max_element(raw.begin(), raw.end());
  double sum = 0;
  for (float logit : raw) sum += std::exp(static_cast<double>(logit) - max);
  const double log_sum = std::log(sum) + max;
  const auto logprob = [&](TokenId id) {
    return static_cast<float>(raw[static_cast<size_t>(id)] - log_sum);
  };
  out.logprob = logprob(out.token);
  out.num_top = std::min({num_top, kTopLogprobsMax, static_cast<int32_t>(raw.size())});
  RankTop(raw, out.num_top, ranking);
  for (int32_t i = 0; i < out.num_top; ++i) {
    out.top_tokens[i] = ranking[static_cast<size_t>(i)];
    out.top_logprobs[i] = logprob(out.top_tokens[i]);
  }
}

// Step 2: penalties and biases, then everything that may not be drawn to minus infinity.
void Adjust(const SamplingRow& row, std::span<const float> raw, std::vector<float>& logits) {
  logits.assign(raw.begin(), raw.end());
  for (int32_t i = 0; i < row.num_adjustments; ++i) {
    const LogitAdjustment& adjustment = row.adjustments[i];
    float& logit = logits[static_cast<size_t>(adjustment.token)];
    logit = AdjustLogit(row, adjustment, logit);
  }
  if (row.allowed != nullptr) {
    const std::span<const TokenId> allowed(row.allowed, static_cast<size_t>(row.num_allowed));
    for (size_t id = 0; id < logits.size(); ++id) {
      if (!std::binary_search(allowed.begin(), allowed.end(), static_cast<TokenId>(id))) {
        logits[id] = kMinusInfinity;
      }
    }
  }
  for (int32_t i = 0; i < row.num_banned; ++i) {
    logits[static_cast<size_t>(row.banned[i])] = kMinusInfinity;
  }
}

// Steps 5 to 8: shrinks `ranking`, sorted over `logits`, to the ids that may be drawn.
void CutRanking(const SamplingRow& row, const std::vector<float>& logits, float max, float inverse,
                std::vector<TokenId>& ranking) {
  const auto scaled = [&](TokenId id) { return (logits[static_cast<size_t>(id)] - max) * inverse; };
  const auto keep_while = [&](auto&& condition) {
    ranking.erase(std::find_if_not(ranking.begin(), ranking.end(), condition), ranking.end());
  };
  keep_while([&](TokenId id) { return scaled(id) > kMinusInfinity; });
  if (row.top_k > 0 && static_cast<size_t>(row.top_k) < ranking.size()) {
    ranking.resize(static_cast<size_t>(row.top_k));
  }
  if (row.top_p < 1.0f) {
    uint64_t total = 0;
    for (TokenId id : ranking) total += TokenMass(scaled(id));
    const uint64_t needed = MassNeeded(total, row.top_p);
    uint64_t mass = 0;
    keep_while([&](TokenId id) {
      const bool keep = mass < needed;
      mass += TokenMass(scaled(id));
      return keep;
    });
  }
  if (row.min_p > 0.0f) {
    const float threshold = MinPThreshold(row.min_p);
    keep_while([&](TokenId id) { return scaled(id) >= threshold; });
  }
}

// Steps 3 to 9. -1 when nothing can be drawn.
TokenId Draw(const SamplingRow& row, Scratch& scratch) {
  const std::vector<float>& logits = scratch.logits;
  const auto best = std::max_element(logits.begin(), logits.end());
  const float max = *best;
  if (max == kMinusInfinity) return -1;
  if (row.temperature == 0.0f) return static_cast<TokenId>(best - logits.begin());
  RankTop(logits, static_cast<int64_t>(logits.size()), scratch.ranking);
  const float inverse = InverseTemperature(row.temperature);
  CutRanking(row, logits, max, inverse, scratch.ranking);
  const NoiseKey key{row.seed, row.sample_index, row.position};
  TokenId drawn = -1;
  float drawn_score = kMinusInfinity;
  for (TokenId id : scratch.ranking) {
    const float score =
        DrawScore(logits[static_cast<size_t>(id)] - max, inverse, GumbelNoise(key, id));
    if (score > drawn_score || (score == drawn_score && id < drawn)) {
      drawn = id;
      drawn_score = score;
    }
  }
  return drawn;
}

}  // namespace

void Sample(const SampleArgs& args, Scratch& scratch) {
  for (int64_t r = 0; r < args.logits.rows; ++r) {
    const SamplingRow& row = args.rows[r];
    const std::span<const float> raw(args.logits.Row<float>(r),
                                     static_cast<size_t>(args.logits.cols));
    SampledToken out;
    out.finite = HoldsNoNanOrInfinity(raw);
    if (out.finite && row.forced >= 0) {
      out.token = row.forced;
    } else if (out.finite) {
      Adjust(row, raw, scratch.logits);
      if (HoldsNoNanOrInfinity(scratch.logits)) out.token = Draw(row, scratch);
      out.finite = out.token >= 0;
    }
    if (out.finite && row.num_logprobs >= 0) {
      FillLogprobs(raw, row.num_logprobs, scratch.ranking, out);
    }
    args.out[r] = out;
  }
}

}  // namespace banyan::kernels::reference
