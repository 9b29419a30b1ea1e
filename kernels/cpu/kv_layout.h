// Where a token's keys and values lie in the CPU's paged cache.
//
// The unit is a tile: 16 tokens of one KV head of one layer, keys then values, 64-byte aligned.
//   bfloat16   K [D / 2][16 tokens][2]    V [8 token pairs][Dv][2]
//   float32    K [D][16 tokens]           V [16 tokens][Dv]
// with Dv = D rounded up to 16. One vector register is 16 tokens of one d (pair), or 16 d of one
// token (pair): reading needs no transposes and no horizontal sums.
// The pool is [L][blocks][K heads][B / 16 tiles], so a block of one layer is one contiguous piece.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/token.h"
#include "kernels/tensor.h"

namespace banyan::kernels::cpu {

inline constexpr int kTileTokens = 16;

constexpr int64_t RoundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

struct KvLayout {
  char* data = nullptr;
  DType dtype = DType::kBFloat16;
  int block_size = 0;  // B, a multiple of 16
  int num_kv_heads = 0;
  int head_size = 0;     // D, even
  int value_width = 0;   // Dv
  size_t key_bytes = 0;  // of one tile
  size_t tile_bytes = 0;
  size_t head_bytes = 0;   // tiles of one block and head
  size_t block_bytes = 0;  // of one layer
  size_t layer_bytes = 0;

  static KvLayout Make(DType dtype, int block_size, int num_kv_heads, int head_size,
                       int num_blocks) {
    KvLayout layout;
    layout.dtype = dtype;
    layout.block_size = block_size;
    layout.num_kv_heads = num_kv_heads;
    layout.head_size = head_size;
    layout.value_width = static_cast<int>(RoundUp(head_size, 16));
    const size_t token_bytes = kTileTokens * SizeOf(dtype);
    layout.key_bytes = static_cast<size_t>(head_size) * token_bytes;
    layout.tile_bytes = layout.key_bytes + static_cast<size_t>(layout.value_width) * token_bytes;
    layout.head_bytes = layout.tile_bytes * static_cast<size_t>(block_size / kTileTokens);
    layout.block_bytes = layout.head_bytes * static_cast<size_t>(num_kv_heads);
    layout.layer_bytes = layout.block_bytes * static_cast<size_t>(num_blocks);
    return layout;
  }

  // The tile that holds token `slot` of a sequence with this block table.
  char* Tile(int layer, int kv_head, const BlockId* block_table, int64_t slot) const {
    const auto block = static_cast<size_t>(block_table[slot / block_size]);
    const auto tile = static_cast<size_t>(slot % block_size / kTileTokens);
    return data + static_cast<size_t>(layer) * layer_bytes + block * block_bytes +
           static_cast<size_t>(kv_head) * head_bytes + tile * tile_bytes;
  }
};

}  // namespace banyan::kernels::cpu
