// The reference ops, one file each; what they compute is said in kernels/ops.h. Not thread-safe:
// some use the scratch of their caller.
#pragma once

#include <vector>

#include "kernels/backend.h"
#include "kernels/ops.h"

namespace banyan::kernels::reference {

// Scratch of attention for contexts of up to `max_context_tokens` and of sampling for rows of up to
// `max_vocabulary` logits.
struct Scratch {
  explicit Scratch(const BackendLimits& limits);

  std::vector<int64_t> slots;       // [context] cache slots a query sees, by position
  std::vector<float> query;         // [D]
  std::vector<float> scores;        // [kAttentionChunkTokens]
  std::vector<float> chunk_output;  // [D]
  std::vector<float> output;        // [D]
  std::vector<float> logits;        // [V] adjusted
  std::vector<TokenId> ranking;     // [V]
};

void Embed(const EmbedArgs& args);
void RmsNorm(const RmsNormArgs& args);
void Linear(const LinearArgs& args);
void RopeKvWrite(const RopeKvWriteArgs& args);
void Attention(const AttentionArgs& args, Scratch& scratch);
void SiluMul(const SiluMulArgs& args);
void GatherRows(const GatherRowsArgs& args);
void CopyBlocks(const CopyBlocksArgs& args);
void Sample(const SampleArgs& args, Scratch& scratch);

// 1 / sqrt(mean(values^2) + epsilon) over `size` values: sums of squares in 16 lanes, value i in
// lane i % 16, then the lanes in index order.
float InverseRootMeanSquare(const float* values, int64_t size, float epsilon);

}  // namespace banyan::kernels::reference
