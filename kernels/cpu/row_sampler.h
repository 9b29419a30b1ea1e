// One row of logits to one token, by the rule of kernels/sampling_rule.h, without a sort of the
// vocabulary: a scan for the maximum, a streaming selection for top_k, a histogram for top_p, and
// noise only for tokens that can still win. Bits equal those of reference/.
//
// One sampler a thread; it owns the scratch.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/kernel_table.h"
#include "kernels/ops.h"

namespace banyan::kernels::cpu {

class RowSampler {
 public:
  // Allocates scratch for rows of at most `max_vocabulary` logits.
  RowSampler(const KernelTable& kernels, int64_t max_vocabulary);

  // `logits` [count] are overwritten.
  SampledToken Sample(const SamplingRow& row, float* logits, int64_t count);

 private:
  struct Candidate {
    float logit;
    TokenId token;
  };
  // The kept part of the ranking: logits above `logit`, and ids up to `last_token` that equal it.
  struct Cut {
    float logit;
    TokenId last_token;
  };

  static bool Before(const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  }

  TokenId SampleAdjusted(const SamplingRow& row, const RowMaximum& maximum, const float* logits,
                         int64_t count);
  void Adjust(const SamplingRow& row, float* logits, int64_t count);
  void KeepOnlyAllowed(const SamplingRow& row, float* logits, int64_t count);
  // Fills candidates_ with the `k` first of the ranking, in order.
  void CollectTop(const float* logits, int64_t count, int64_t k);
  // Ends candidates_, in order, where top_p and min_p end the ranking.
  void CutCandidates(const SamplingRow& row, float maximum, float inverse);
  Cut FindNucleus(float top_p, float maximum, float inverse, const float* logits, int64_t count);
  TokenId DrawCandidates(const SamplingRow& row, float maximum, float inverse) const;
  TokenId DrawAll(const SamplingRow& row, const RowMaximum& maximum, float inverse, Cut cut,
                  const float* logits, int64_t count) const;

  const KernelTable& kernels_;
  std::vector<Candidate> candidates_;
  std::vector<int32_t> indices_;
  std::vector<float> saved_;
  std::vector<uint64_t> bin_mass_;
};

}  // namespace banyan::kernels::cpu
