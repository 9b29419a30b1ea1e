#include "worker/sampling/stop_rules.h"

#include <algorithm>

namespace banyan::worker {

StopRules::StopRules(const SamplingParams& params, std::span<const TokenId> eos_token_ids)
    : min_tokens_(params.min_tokens), max_tokens_(params.max_tokens), stop_(params.stop_token_ids) {
  if (!params.ignore_eos) stop_.insert(stop_.end(), eos_token_ids.begin(), eos_token_ids.end());
  std::ranges::sort(stop_);
  stop_.erase(std::ranges::unique(stop_).begin(), stop_.end());
  can_ban_ =
      params.allowed_token_ids.empty() || !std::ranges::includes(stop_, params.allowed_token_ids);
}

FinishReason StopRules::Check(TokenId token, int32_t num_output) const {
  if (num_output > min_tokens_ && std::ranges::binary_search(stop_, token)) {
    return FinishReason::kStop;
  }
  return num_output >= max_tokens_ ? FinishReason::kLength : FinishReason::kNone;
}

std::span<const TokenId> StopRules::Banned(int32_t num_output) const {
  if (!can_ban_ || num_output >= min_tokens_) return {};
  return stop_;
}

}  // namespace banyan::worker
