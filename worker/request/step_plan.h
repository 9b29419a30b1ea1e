// What one engine step computes, as plain data: a pure function of engine state, equal on every
// rank. The scheduler makes it, the executor runs it; neither knows the other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/token.h"
#include "kernels/ops.h"

namespace banyan::worker {

// How the token after one new token is chosen. Owns what kernels::SamplingRow points to.
struct SamplePlan {
  int32_t new_token = 0;     // index into SequencePlan::new_tokens whose logits are used
  kernels::SamplingRow row;  // its pointers are set by the executor from the vectors below
  std::vector<kernels::LogitAdjustment> adjustments;  // token ids ascending
  std::vector<TokenId> allowed;                       // ascending; empty: all
  std::vector<TokenId> banned;
};

// One sequence's part: new_tokens.size() is its num_new_tokens, whether prefill chunk, decode token
// or drafts.
struct SequencePlan {
  SequenceId sequence{};
  int32_t num_cached = 0;            // tokens whose KV is in the cache before this step
  std::vector<TokenId> new_tokens;   // at positions num_cached ...
  std::vector<BlockId> block_table;  // covers num_cached + new_tokens.size() tokens
  std::vector<SamplePlan>
      samples;  // rows to draw from, ascending by new_token; empty for a prefill chunk
};

struct BlockCopy {
  BlockId from{};
  BlockId to{};
};

struct StepPlan {
  int64_t step = 0;
  std::vector<BlockCopy> copies;  // done before anything else, in order
  std::vector<SequencePlan> sequences;
  int32_t num_tokens = 0;  // sum of new_tokens.size()
};

// One entry per SamplePlan, in plan order.
struct StepResult {
  std::vector<kernels::SampledToken> tokens;
};

}  // namespace banyan::worker
