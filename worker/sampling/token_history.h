// What a sample's past does to its next logits: bias, penalties. Owned by the engine thread.
//
// Invariant: adjustments are ascending by token id, one per touched id. Without penalties only
// logit_bias is kept, so plain requests cost nothing. Memory: 16 bytes per distinct token.
#pragma once

#include <span>
#include <vector>

#include "kernels/ops.h"
#include "worker/request/request.h"

namespace banyan::worker {

class TokenHistory {
 public:
  TokenHistory(const SamplingParams& params, std::span<const TokenId> prompt);

  // Counts one output token. O(distinct tokens) when the token is new and penalties are on.
  void Append(TokenId token);

  const std::vector<kernels::LogitAdjustment>& adjustments() const { return adjustments_; }

 private:
  kernels::LogitAdjustment& Entry(TokenId token);

  bool counts_outputs_;  // some penalty looks at outputs
  std::vector<kernels::LogitAdjustment> adjustments_;
};

}  // namespace banyan::worker
