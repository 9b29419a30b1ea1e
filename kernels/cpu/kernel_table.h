// The inner loops of every op, one table for each instruction set path and activation dtype.
//
// The functions work on a piece of an op (a panel, a run of rows, a run of KV chunks) on the
// calling thread; the backend cuts ops into pieces and spreads them. None of them allocates. All
// keep the batch invariance of kernels/ops.h: an output row's bits depend on its own inputs only,
// however the op is cut.
#pragma once

#include <cstdint>

#include "kernels/cpu/cpu_isa.h"
#include "kernels/cpu/kv_layout.h"
#include "kernels/ops.h"
#include "kernels/philox.h"

namespace banyan::kernels::cpu {

// --- Linear

// Outputs of one panel of a packed weight: y[m, n] = sum_c x[m, c] w[n, c] + bias[n], n < outputs.
// A panel is [ceil(C / 2)][width][2] bfloat16 or [C][width] float32: width outputs with all of C.
struct LinearPanelTask {
  const void* x = nullptr;  // activation [M, C]
  int64_t x_pitch = 0;      // elements
  int64_t rows = 0;         // M
  int64_t cols = 0;         // C
  const void* panel = nullptr;
  int width = 0;    // 64 or 32
  int outputs = 0;  // columns of y to write, <= width
  const float* bias = nullptr;
  float* y = nullptr;
  int64_t y_pitch = 0;
};

// --- Attention

// Absolute positions of one softmax chunk; the grid on which partial results are merged.
inline constexpr int kChunkTokens = kAttentionChunkTokens;
// Most new tokens of a sequence with a tree mask.
inline constexpr int kTreeTokensMax = 128;
// Most rows (query token, head) of one attention task.
inline constexpr int kMaxQueryRows = 64;

// Query tokens of one sequence, some heads of one KV head, a run of chunks.
struct AttentionTask {
  const KvLayout* kv = nullptr;
  int layer = 0;
  int kv_head = 0;
  const BlockId* block_table = nullptr;
  const Matrix* q = nullptr;
  const Matrix* out = nullptr;
  int64_t first_row = 0;  // of q and out
  int num_tokens = 0;
  int first_head = 0;
  int num_heads = 0;     // num_tokens * num_heads <= kMaxQueryRows
  float scale_log2 = 0;  // scale * log2(e)
  int window = 0;        // 0: none
  int64_t num_cached = 0;
  int64_t first_slot = 0;  // slot of the first query token
  // Tree verification: the two mask words of the one query token, else null.
  const uint64_t* tree_mask = nullptr;
  const int32_t* new_positions = nullptr;  // of the sequence's new tokens, with tree_mask only
  int64_t chunk_begin = 0;
  int64_t chunk_end = 0;
  // Null: merge the chunks and write `out`. Else one record a (chunk, row) at
  // partials[((chunk - chunk_begin) * rows + row) * PartialPitch(Dv)]: Dv sums, maximum, sum of
  // exponentials.
  float* partials = nullptr;
  char* scratch = nullptr;  // AttentionScratchBytes
};

constexpr int64_t PartialPitch(int64_t value_width) { return value_width + 16; }

// Scratch of one thread for heads of at most `head_size`.
size_t AttentionScratchBytes(int head_size);

// --- Sampling

// Largest value and lowest index that holds it. `finite` is false when a value is NaN or +infinity.
struct RowMaximum {
  float value = 0;
  int64_t index = -1;
  bool finite = true;
};

// Ids of one look for the winner of a draw.
inline constexpr int kDrawBlockTokens = 64;

// 64 logits, ids 4 * first_quad and up, in a draw as kernels/sampling_rule.h has it.
struct DrawBlock {
  const float* logits = nullptr;  // [64]; -infinity past the row's end
  float maximum = 0;              // of the row
  float inverse = 0;              // of the temperature
  float lowest = 0;               // no id with (logit - maximum) * inverse below it may win
  float best = 0;                 // score to reach
  NoiseKey key;
  uint32_t first_quad = 0;
};

struct KernelTable {
  void (*linear_panel)(const LinearPanelTask& task) = nullptr;
  void (*rms_norm)(const RmsNormArgs& args, int64_t row_begin, int64_t row_end) = nullptr;
  void (*silu_mul)(const SiluMulArgs& args, int64_t row_begin, int64_t row_end) = nullptr;
  // Tokens [token_begin, token_end) of the batch.
  void (*rope_kv_write)(const RopeKvWriteArgs& args, const KvLayout& kv, int64_t token_begin,
                        int64_t token_end) = nullptr;
  void (*attention)(const AttentionTask& task) = nullptr;
  // Merges the records of chunks [chunk_begin, chunk_end) in order and writes `out`.
  void (*attention_merge)(const AttentionTask& task) = nullptr;
  RowMaximum (*row_maximum)(const float* row, int64_t count) = nullptr;
  // sum of exp(row[i] - maximum).
  double (*sum_exp)(const float* row, int64_t count, float maximum) = nullptr;
  // Indices, ascending, of values >= threshold; at most `capacity` are written, all are counted.
  int64_t (*collect_at_least)(const float* row, int64_t count, float threshold, int32_t* indices,
                              int64_t capacity) = nullptr;
  // bin_mass[min(-x * bins_per_unit, num_bins - 1)] += TokenMass(x) over x = (row[i] - maximum) *
  // inverse > -infinity; returns the sum. As kernels/sampling_rule.h, bit for bit.
  uint64_t (*mass_histogram)(const float* row, int64_t count, float maximum, float inverse,
                             float bins_per_unit, int num_bins, uint64_t* bin_mass) = nullptr;
  // Bit i is set where logits[i] could reach `best`; it may be set where it does not. Where any bit
  // is set, the random bits of all 64 ids are in bits[64].
  uint64_t (*draw_contenders)(const DrawBlock& block, uint32_t* bits) = nullptr;
};

const KernelTable& ScalarKernels(DType activation);
const KernelTable& Avx2Kernels(DType activation);
const KernelTable& Avx512Kernels(DType activation);

// The table of a supported path.
const KernelTable& KernelsFor(Isa isa, DType activation);

}  // namespace banyan::kernels::cpu
