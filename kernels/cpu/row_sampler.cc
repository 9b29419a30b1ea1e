#include "kernels/cpu/row_sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/sampling_rule.h"

namespace banyan::kernels::cpu {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// Bins of the top_p histogram over x = (logit - max) / temperature in (-32, 0]. Below -28 a token
// has no mass.
constexpr int kBins = 2048;
constexpr float kBinsPerUnit = 64.0f;

int BinOf(float x) { return static_cast<int>(std::min(-x * kBinsPerUnit, kBins - 1.0f)); }

// A score no token with these random bits can reach: with 1 - u >= 2^-(z + 1), z the leading ones
// of the bits, -log(u) >= 2^-(z + 1) and g <= (z + 1) log 2. The last term covers rounding.
float NoiseBound(uint32_t bits) {
  return static_cast<float>(std::countl_one(bits) + 1) * 0.69315f + 0.001f;
}

// Keeps the best score, lowest id on a tie.
struct Best {
  float score = kMinusInfinity;
  TokenId token = -1;
  void Offer(float candidate_score, TokenId candidate) {
    if (candidate_score > score || (candidate_score == score && candidate < token)) {
      score = candidate_score;
      token = candidate;
    }
  }
};

}  // namespace

RowSampler::RowSampler(const KernelTable& kernels, int64_t max_vocabulary)
    : kernels_(kernels),
      indices_(static_cast<size_t>(max_vocabulary)),
      saved_(static_cast<size_t>(max_vocabulary)),
      bin_mass_(kBins) {
  candidates_.reserve(static_cast<size_t>(max_vocabulary));
}

SampledToken RowSampler::Sample(const SamplingRow& row, float* logits, int64_t count) {
  SampledToken out;
  const RowMaximum raw_maximum = kernels_.row_maximum(logits, count);
  out.finite = raw_maximum.finite;
  if (!out.finite) return out;

  // Log-probabilities are of the raw row: what they need is taken before it is adjusted.
  double log_sum = 0;
  if (row.num_logprobs >= 0) {
    log_sum = std::log(kernels_.sum_exp(logits, count, raw_maximum.value)) +
              static_cast<double>(raw_maximum.value);
    out.num_top =
        static_cast<int32_t>(std::min<int64_t>({row.num_logprobs, kTopLogprobsMax, count}));
    CollectTop(logits, count, out.num_top);
    for (int32_t i = 0; i < out.num_top; ++i) {
      const Candidate& candidate = candidates_[static_cast<size_t>(i)];
      out.top_tokens[i] = candidate.token;
      out.top_logprobs[i] = static_cast<float>(static_cast<double>(candidate.logit) - log_sum);
    }
  }
  for (int32_t i = 0; i < row.num_adjustments; ++i) {
    saved_[static_cast<size_t>(i)] = logits[row.adjustments[i].token];
  }
  if (row.forced >= 0) {
    out.token = row.forced;
  } else {
    const bool adjusted = row.num_adjustments > 0 || row.allowed != nullptr || row.num_banned > 0;
    if (adjusted) Adjust(row, logits, count);
    const RowMaximum maximum = adjusted ? kernels_.row_maximum(logits, count) : raw_maximum;
    if (maximum.finite) out.token = SampleAdjusted(row, maximum, logits, count);
  }
  out.finite = out.token >= 0;
  if (out.finite && row.num_logprobs >= 0) {
    float raw = logits[out.token];
    const auto* end = row.adjustments + row.num_adjustments;
    const auto* found =
        std::lower_bound(row.adjustments, end, out.token,
                         [](const LogitAdjustment& a, TokenId token) { return a.token < token; });
    if (found != end && found->token == out.token) {
      raw = saved_[static_cast<size_t>(found - row.adjustments)];
    }
    out.logprob = static_cast<float>(static_cast<double>(raw) - log_sum);
  }
  if (!out.finite) {
    const SampledToken nothing;
    out = nothing;
    out.finite = false;
  }
  return out;
}

void RowSampler::Adjust(const SamplingRow& row, float* logits, int64_t count) {
  for (int32_t i = 0; i < row.num_adjustments; ++i) {
    const LogitAdjustment& adjustment = row.adjustments[i];
    logits[adjustment.token] = AdjustLogit(row, adjustment, logits[adjustment.token]);
  }
  if (row.allowed != nullptr) KeepOnlyAllowed(row, logits, count);
  for (int32_t i = 0; i < row.num_banned; ++i) logits[row.banned[i]] = kMinusInfinity;
}

void RowSampler::KeepOnlyAllowed(const SamplingRow& row, float* logits, int64_t count) {
  int64_t next = 0;
  for (int32_t i = 0; i < row.num_allowed; ++i) {
    const int64_t token = row.allowed[i];
    for (; next < token; ++next) logits[next] = kMinusInfinity;
    next = token + 1;
  }
  for (; next < count; ++next) logits[next] = kMinusInfinity;
}

// Streams over pieces of the row with a threshold that rises to the k-th largest value so far.
// Later ids lose ties, so nothing below the threshold can come back.
void RowSampler::CollectTop(const float* logits, int64_t count, int64_t k) {
  constexpr int64_t kPiece = 4096;
  candidates_.clear();
  if (k <= 0) return;
  const auto keep = static_cast<size_t>(std::min(k, count));
  float threshold = kMinusInfinity;
  for (int64_t begin = 0; begin < count; begin += kPiece) {
    const int64_t size = std::min(kPiece, count - begin);
    const int64_t found =
        kernels_.collect_at_least(logits + begin, size, threshold, indices_.data(), size);
    for (int64_t i = 0; i < found; ++i) {
      const int64_t token = begin + indices_[static_cast<size_t>(i)];
      candidates_.push_back({logits[token], static_cast<TokenId>(token)});
    }
    if (candidates_.size() <= 2 * keep) continue;
    std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<int64_t>(keep) - 1,
                     candidates_.end(), Before);
    candidates_.resize(keep);
    threshold = candidates_.back().logit;
  }
  if (candidates_.size() > keep) {
    std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<int64_t>(keep) - 1,
                     candidates_.end(), Before);
    candidates_.resize(keep);
  }
  std::sort(candidates_.begin(), candidates_.end(), Before);
}

TokenId RowSampler::SampleAdjusted(const SamplingRow& row, const RowMaximum& maximum,
                                   const float* logits, int64_t count) {
  if (maximum.value == kMinusInfinity) return -1;
  if (row.temperature == 0.0f) return static_cast<TokenId>(maximum.index);
  const float inverse = InverseTemperature(row.temperature);
  if (row.top_k > 0 && row.top_k < count) {
    CollectTop(logits, count, row.top_k);
    CutCandidates(row, maximum.value, inverse);
    return DrawCandidates(row, maximum.value, inverse);
  }
  Cut cut{-std::numeric_limits<float>::max(), std::numeric_limits<TokenId>::max()};
  if (row.top_p < 1.0f) cut = FindNucleus(row.top_p, maximum.value, inverse, logits, count);
  return DrawAll(row, maximum, inverse, cut, logits, count);
}

void RowSampler::CutCandidates(const SamplingRow& row, float maximum, float inverse) {
  const auto scaled = [&](const Candidate& c) { return (c.logit - maximum) * inverse; };
  const auto keep_while = [&](auto&& condition) {
    candidates_.erase(std::find_if_not(candidates_.begin(), candidates_.end(), condition),
                      candidates_.end());
  };
  keep_while([&](const Candidate& c) { return scaled(c) > kMinusInfinity; });
  if (row.top_p < 1.0f) {
    uint64_t total = 0;
    for (const Candidate& c : candidates_) total += TokenMass(scaled(c));
    const uint64_t needed = MassNeeded(total, row.top_p);
    uint64_t mass = 0;
    keep_while([&](const Candidate& c) {
      const bool keep = mass < needed;
      mass += TokenMass(scaled(c));
      return keep;
    });
  }
  if (row.min_p > 0.0f) {
    const float threshold = MinPThreshold(row.min_p);
    keep_while([&](const Candidate& c) { return scaled(c) >= threshold; });
  }
}

// Mass sums are integers, so the bin where the needed mass is reached holds the cut exactly; only
// its tokens are sorted.
RowSampler::Cut RowSampler::FindNucleus(float top_p, float maximum, float inverse,
                                        const float* logits, int64_t count) {
  std::fill(bin_mass_.begin(), bin_mass_.end(), 0);
  const uint64_t total = kernels_.mass_histogram(logits, count, maximum, inverse, kBinsPerUnit,
                                                 kBins, bin_mass_.data());
  const uint64_t needed = MassNeeded(total, top_p);
  uint64_t mass = 0;
  int bin = 0;
  while (bin < kBins - 1 && mass + bin_mass_[static_cast<size_t>(bin)] < needed) {
    mass += bin_mass_[static_cast<size_t>(bin++)];
  }
  // A little lower than the bin's end, whatever way the division rounds.
  const float lowest = maximum - (static_cast<float>(bin + 2) / kBinsPerUnit) / inverse;
  const int64_t found = kernels_.collect_at_least(logits, count, lowest, indices_.data(), count);
  candidates_.clear();
  for (int64_t i = 0; i < found; ++i) {
    const TokenId token = indices_[static_cast<size_t>(i)];
    const float logit = logits[token];
    const float x = (logit - maximum) * inverse;
    if (x > kMinusInfinity && BinOf(x) == bin) candidates_.push_back({logit, token});
  }
  std::sort(candidates_.begin(), candidates_.end(), Before);
  Cut cut{maximum, -1};
  for (const Candidate& candidate : candidates_) {
    if (mass >= needed) break;
    mass += TokenMass((candidate.logit - maximum) * inverse);
    cut = {candidate.logit, candidate.token};
  }
  return cut;
}

TokenId RowSampler::DrawCandidates(const SamplingRow& row, float maximum, float inverse) const {
  const NoiseKey key{row.seed, row.sample_index, row.position};
  Best best;
  for (const Candidate& c : candidates_) {
    const float shifted = c.logit - maximum;
    // In order of score without noise: once that plus the largest noise cannot win, nothing can.
    if (DrawScore(shifted, inverse, kGumbelNoiseMax) < best.score) break;
    best.Offer(DrawScore(shifted, inverse, GumbelNoise(key, c.token)), c.token);
  }
  return best.token;
}

TokenId RowSampler::DrawAll(const SamplingRow& row, const RowMaximum& maximum, float inverse,
                            Cut cut, const float* logits, int64_t count) const {
  const float threshold = row.min_p > 0.0f ? MinPThreshold(row.min_p) : kMinusInfinity;
  const NoiseKey key{row.seed, row.sample_index, row.position};
  Best best;
  const auto first = static_cast<TokenId>(maximum.index);
  best.Offer(DrawScore(0.0f, inverse, GumbelNoise(key, first)), first);
  DrawBlock block{.maximum = maximum.value, .inverse = inverse, .key = key};
  block.lowest = std::max(threshold, (cut.logit - maximum.value) * inverse);
  float padded[kDrawBlockTokens];
  uint32_t bits[kDrawBlockTokens];
  for (int64_t begin = 0; begin < count; begin += kDrawBlockTokens) {
    block.logits = logits + begin;
    if (count - begin < kDrawBlockTokens) {
      std::fill(std::copy(logits + begin, logits + count, padded), std::end(padded),
                kMinusInfinity);
      block.logits = padded;
    }
    block.best = best.score;
    block.first_quad = static_cast<uint32_t>(begin / 4);
    uint64_t contenders = kernels_.draw_contenders(block, bits);
    for (; contenders != 0; contenders &= contenders - 1) {
      const int i = std::countr_zero(contenders);
      const auto token = static_cast<TokenId>(begin + i);
      const float logit = block.logits[i];
      if (logit < cut.logit || (logit == cut.logit && token > cut.last_token)) continue;
      const float shifted = logit - maximum.value;
      const float x = shifted * inverse;
      if (!(x > kMinusInfinity) || x < threshold) continue;
      // Slack for the two roundings of x and of the sum.
      if (x * (1.0f - 1e-6f) + NoiseBound(bits[i]) < best.score) continue;
      best.Offer(DrawScore(shifted, inverse, GumbelFromBits(bits[i])), token);
    }
  }
  return best.token;
}

}  // namespace banyan::kernels::cpu
