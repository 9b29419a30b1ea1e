// When a sample ends by its own tokens: stop and end tokens, min_tokens, max_tokens. Immutable,
// thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "worker/request/request.h"

namespace banyan::worker {

class StopRules {
 public:
  StopRules(const SamplingParams& params, std::span<const TokenId> eos_token_ids);

  // Whether output token number `num_output` (counted from 1) being `token` ends the sample. A stop
  // token among the first min_tokens is ignored.
  FinishReason Check(TokenId token, int32_t num_output) const;
  // Tokens that must not be drawn after `num_output` outputs: min_tokens' ban of stop tokens.
  // Empty where the ban would leave nothing of allowed_token_ids; such a token is then ignored as a
  // stop token instead.
  std::span<const TokenId> Banned(int32_t num_output) const;

 private:
  int32_t min_tokens_;
  int32_t max_tokens_;
  bool can_ban_;
  std::vector<TokenId> stop_;  // ascending
};

}  // namespace banyan::worker
