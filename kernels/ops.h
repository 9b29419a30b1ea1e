// Arguments of every op: one struct each. What an op computes is defined here, by a formula, and by
// `reference/`; a backend may order its work as it likes as long as it is batch-invariant:
//
//   the bytes of an output row depend on that row's own inputs only: not on the other rows of the
//   call, on how a sequence was cut into calls, on thread count, or on which blocks hold its KV.
//
// Pointers are in the backend's memory (the host's on CPU backends), index arrays too. `float`
// buffers are float32. Activations have the backend's activation dtype (float32, or bfloat16
// rounded to nearest even). Ops never allocate and never fail: whatever could fail is checked when
// weights are packed, caches are made and steps are planned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "common/base/token.h"
#include "kernels/tensor.h"

namespace banyan::kernels {

// --- Weights and cache: made once, layout private to the backend
// -------------------------------------------

// A linear layer's weight [N, C] as a backend is given it. `read_rows(begin, end, out)` writes the
// exact float32 values of rows [begin, end) to out[(end - begin) * C]; it may be called from
// several threads.
struct MatrixSource {
  std::string name;  // for error messages
  int64_t rows = 0;  // N
  int64_t cols = 0;  // C
  std::function<void(int64_t row_begin, int64_t row_end, float* out)> read_rows;
};

// A weight in a backend's own layout. Immutable; owned by the caller; dies before its backend.
class PackedMatrix {
 public:
  virtual ~PackedMatrix() = default;
  virtual int64_t rows() const = 0;       // N
  virtual int64_t cols() const = 0;       // C
  virtual size_t size_bytes() const = 0;  // resident
};

struct KvCacheShape {
  int num_layers = 0;    // L
  int num_blocks = 0;    // blocks in the pool
  int block_size = 16;   // B
  int num_kv_heads = 0;  // K
  int head_size = 0;     // D
};

// The paged KV pool of all layers in a backend's own layout, zeroed at creation. Dies before its
// backend.
class KvCache {
 public:
  virtual ~KvCache() = default;
  virtual const KvCacheShape& shape() const = 0;
  virtual size_t size_bytes() const = 0;
};

// --- The step
// --------------------------------------------------------------------------------------------------

// The tokens of one step: S sequences, each with a run of new tokens that continue what the cache
// holds. Prefill chunks, decode tokens and draft tokens to verify are all the same thing.
struct RaggedBatch {
  int num_sequences = 0;  // S
  int num_tokens = 0;     // T
  // [S + 1] new tokens of sequence s are rows query_begin[s] .. query_begin[s + 1] of every [T, .]
  // matrix.
  const int32_t* query_begin = nullptr;
  // [S] tokens of the sequence that are in the cache before this step. New token j has position
  // num_cached[s] + j, unless `positions` says otherwise (tree drafts).
  const int32_t* num_cached = nullptr;
  // [T] position of each new token.
  const int32_t* positions = nullptr;
  // [T] sequence index of each new token.
  const int32_t* sequence_of = nullptr;
  // [S, block_table_pitch] block ids; entry i holds tokens [i * B, (i + 1) * B) of the sequence.
  const BlockId* block_tables = nullptr;
  int block_table_pitch = 0;
  // Tree verification: absent (null), or [T, 2] 64-bit words; bit j of row t is set where new token
  // t may attend to new token j of its own sequence (at most 128 new tokens). Null: causal.
  const uint64_t* tree_mask = nullptr;
};

// out[t, :] = table[token_ids[t], :].  out float32 [T, C].
struct EmbedArgs {
  const PackedMatrix* table = nullptr;
  const TokenId* token_ids = nullptr;  // [T]
  Matrix out;
};

// residual[t, :] += delta[t, :] where delta is given;
// out[t, c] = residual[t, c] / sqrt(mean_c(residual[t, :]^2) + epsilon) * weight[c].
// The sum of squares runs over 16 lanes, then over the lanes in index order (Zhang & Sennrich 2019,
// RMSNorm).
struct RmsNormArgs {
  Matrix residual;                // float32 [T, C], read and, with delta, written
  const Matrix* delta = nullptr;  // float32 [T, C] or null
  const float* weight = nullptr;  // [C]
  float epsilon = 1e-5f;
  Matrix out;  // activation [T, C]
};

// y[t, n] = sum_c x[t, c] * w[n, c] + bias[n], accumulated in float32, c ascending.
struct LinearArgs {
  Matrix x;  // activation [T, C]
  const PackedMatrix* weight = nullptr;
  const float* bias = nullptr;  // [N] or null
  Matrix y;                     // float32 [T, N]
};

// Splits qkv into heads, normalises q and k where weights are given, rotates q and k, writes k and
// v to the cache and q to q_out.  Rotation is half-split (GPT-NeoX order): with p = D / 2,
//   a'[i] = a[i] cos(m f_i) - a[i + p] sin(m f_i);   a'[i + p] = a[i + p] cos(m f_i) + a[i] sin(m
//   f_i)
// for position m (Su et al. 2021, RoFormer). cos and sin come from tables made by the model, which
// fold in frequency scaling and attention factor.
struct RopeKvWriteArgs {
  const RaggedBatch* batch = nullptr;
  Matrix qkv;                     // float32 [T, (H + 2K) * D]: q heads, k heads, v heads
  int num_heads = 0;              // H
  const float* q_norm = nullptr;  // [D] or null: RMSNorm of each head before rotation (Qwen3)
  const float* k_norm = nullptr;  // [D] or null
  float norm_epsilon = 1e-6f;
  const float* cos = nullptr;  // [max position, D / 2]
  const float* sin = nullptr;  // [max position, D / 2]
  KvCache* cache = nullptr;
  int layer = 0;
  Matrix q_out;  // activation [T, H * D]
};

// Positions of one softmax chunk; part of every backend's numerics.
inline constexpr int kAttentionChunkTokens = 256;

// Paged ragged attention. For new token t at position m of sequence s, query head h, KV head
// g = h / (H / K):
//   out[t, h, :] = softmax_j(scale * q[t, h] . k[j, g]) v[j, g]
// over positions j <= m with j > m - sliding_window (0: no window), j read through the block table.
// With a tree mask, t sees all cached tokens and the new tokens its mask names (itself included),
// which together hold each position 0 .. m once. Softmax is computed online over chunks of
// kAttentionChunkTokens absolute positions, merged in order (Dao et al. 2022; Kwon et al. 2023), so
// that its bits do not depend on how the sequence was cut into steps.
struct AttentionArgs {
  const RaggedBatch* batch = nullptr;
  Matrix q;           // activation [T, H * D]
  int num_heads = 0;  // H
  float scale = 0;
  int sliding_window = 0;
  const KvCache* cache = nullptr;
  int layer = 0;
  Matrix out;  // activation [T, H * D]
};

// out[t, i] = silu(gate_up[t, i]) * gate_up[t, I + i],  silu(x) = x / (1 + exp(-x)) (Shazeer 2020,
// SwiGLU).
struct SiluMulArgs {
  Matrix gate_up;  // float32 [T, 2 I]
  Matrix out;      // activation [T, I]
};

// out[r, :] = in[rows[r], :], any dtype, equal on both sides.
struct GatherRowsArgs {
  Matrix in;
  const int32_t* rows = nullptr;  // [out.rows]
  Matrix out;
};

// Copies whole blocks inside a cache, all layers, k and v: from[i] to to[i], in order.
struct CopyBlocksArgs {
  KvCache* cache = nullptr;
  const BlockId* from = nullptr;
  const BlockId* to = nullptr;
  int num_blocks = 0;
};

// --- Sampling
// ----------------------------------------------------------------------------------------------------

// What a token's history or the request does to its logit. One entry per touched token id, ids
// ascending.
struct LogitAdjustment {
  TokenId token = 0;
  float bias = 0;            // added first; -infinity bans
  int32_t output_count = 0;  // occurrences among generated tokens
  bool seen = false;         // occurs in prompt or output: repetition penalty applies
};

inline constexpr int kTopLogprobsMax = 20;

// How one row of logits becomes a token. Order: allowed set, bias, repetition penalty (positive
// logits are divided, others multiplied), frequency and presence penalty, bans, temperature, top_k,
// top_p, min_p, draw. The draw is Gumbel-max: the surviving id with the largest
//   (logit - max logit) / temperature + g,   ties to the lower id,
// with g = -log(-log(u)), u = (b + 1/2) / 2^32 and b one word of Philox4x32-10 (Salmon et al. 2011)
// with key = seed (low word first) and counter = (token id / 4, sample_index, position low,
// position high), word token id % 4. kernels/philox.h fixes the noise and kernels/sampling_rule.h
// every other step bit by bit: equal logits give equal tokens on every backend.
struct SamplingRow {
  float temperature = 1;  // 0: greedy
  int32_t top_k = 0;      // 0: off
  float top_p = 1;        // 1: off
  float min_p = 0;        // 0: off
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  const LogitAdjustment* adjustments = nullptr;
  int32_t num_adjustments = 0;
  const TokenId* allowed = nullptr;  // ascending; null: all
  int32_t num_allowed = 0;
  const TokenId* banned = nullptr;  // min_tokens' stop tokens
  int32_t num_banned = 0;
  uint64_t seed = 0;
  uint32_t sample_index = 0;
  uint64_t position = 0;  // position in the sequence of the token that is drawn
  int32_t num_logprobs =
      -1;  // -1 none, 0 the drawn token's, k also the k most likely; <= kTopLogprobsMax
  // Not negative: nothing is drawn, this token is taken (prompt log-probs, forced tokens).
  TokenId forced = -1;
};

// Log-probabilities are of the raw float32 softmax, before anything in SamplingRow.
struct SampledToken {
  TokenId token = -1;
  bool finite = true;  // false: the row held NaN or +infinity, or nothing survived; token is -1
  float logprob = 0;
  int32_t num_top = 0;
  TokenId top_tokens[kTopLogprobsMax] = {};
  float top_logprobs[kTopLogprobsMax] = {};
};

struct SampleArgs {
  Matrix logits;                      // float32 [R, V]; contents are not kept
  const SamplingRow* rows = nullptr;  // [R]; rows and what they point to are in host memory
  SampledToken* out = nullptr;        // [R], host memory
};

}  // namespace banyan::kernels
