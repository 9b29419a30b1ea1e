#include "worker/sampling/token_history.h"

#include <algorithm>

namespace banyan::worker {

TokenHistory::TokenHistory(const SamplingParams& params, std::span<const TokenId> prompt) {
  const bool repetition = params.repetition_penalty != 1.0f;
  counts_outputs_ =
      repetition || params.presence_penalty != 0.0f || params.frequency_penalty != 0.0f;
  if (repetition) {
    std::vector<TokenId> distinct(prompt.begin(), prompt.end());
    std::ranges::sort(distinct);
    distinct.erase(std::ranges::unique(distinct).begin(), distinct.end());
    adjustments_.reserve(distinct.size() + params.logit_bias.size());
    for (const TokenId token : distinct) adjustments_.push_back({token, 0.0f, 0, true});
  }
  for (const auto& [token, bias] : params.logit_bias) Entry(token).bias = bias;
}

void TokenHistory::Append(TokenId token) {
  if (!counts_outputs_) return;
  kernels::LogitAdjustment& entry = Entry(token);
  ++entry.output_count;
  entry.seen = true;
}

kernels::LogitAdjustment& TokenHistory::Entry(TokenId token) {
  const auto place =
      std::ranges::lower_bound(adjustments_, token, {}, &kernels::LogitAdjustment::token);
  if (place != adjustments_.end() && place->token == token) return *place;
  return *adjustments_.insert(place, {token, 0.0f, 0, false});
}

}  // namespace banyan::worker
