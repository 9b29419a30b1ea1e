// The scratch of one attention thread, cut into its arrays. Rows are (query token, head) pairs.
#pragma once

#include <cstddef>

#include "kernels/cpu/kernel_table.h"

namespace banyan::kernels::cpu {

struct AttentionScratch {
  float* scores;        // [64][256]
  char* probabilities;  // [64][256] activation dtype, at most float32
  float* chunk_sums;    // [64][Dv] this chunk's P V
  float* sums;          // [64][Dv] merged
  char* gathered;       // 16 tiles: a tree node's tokens in order of position

  static size_t Bytes(int head_size) {
    return 2 * kScoreBytes + 2 * SumBytes(head_size) + GatheredBytes(head_size);
  }

  AttentionScratch(char* memory, int head_size)
      : scores(reinterpret_cast<float*>(memory)),
        probabilities(memory + kScoreBytes),
        chunk_sums(reinterpret_cast<float*>(memory + 2 * kScoreBytes)),
        sums(reinterpret_cast<float*>(memory + 2 * kScoreBytes + SumBytes(head_size))),
        gathered(memory + 2 * kScoreBytes + 2 * SumBytes(head_size)) {}

 private:
  static constexpr size_t kScoreBytes =
      static_cast<size_t>(kMaxQueryRows) * kChunkTokens * sizeof(float);
  static size_t SumBytes(int head_size) {
    return static_cast<size_t>(kMaxQueryRows) * static_cast<size_t>(RoundUp(head_size, 16)) *
           sizeof(float);
  }
  static size_t GatheredBytes(int head_size) {
    return size_t{kChunkTokens / kTileTokens} *
           KvLayout::Make(DType::kFloat32, kTileTokens, 1, head_size, 1).tile_bytes;
  }
};

}  // namespace banyan::kernels::cpu
