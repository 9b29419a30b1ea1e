// out[t, h] = softmax_j(scale * q[t, h] . k[j, g]) v[j, g],  g = h / (H / K)
//
// A query sees the cached tokens and, of the step's new tokens, itself and those before it (causal)
// or those its tree mask names. Seen tokens are listed by position, which for a path in a draft
// tree differs from the order of cache slots; so a verified path has the bits of plain decoding.
// Softmax runs in chunks of 256 absolute positions that merge in order:
//   m' = max(m, m_c);  l' = l e^(m - m') + l_c e^(m_c - m');  O likewise.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "common/base/check.h"
#include "kernels/reference/ops.h"
#include "kernels/reference/storage.h"

namespace banyan::kernels::reference {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// Running softmax: maximum, sum of weights; the weighted values stand beside it.
struct SoftmaxState {
  float max = kMinusInfinity;
  float sum = 0;
};

// What one (token, head) reads.
struct Query {
  int sequence = 0;
  const float* q = nullptr;  // [D]
  int kv_head = 0;
  int64_t first_position = 0;  // of the window
  int64_t end_position = 0;    // slots[p] is seen for p in [first_position, end_position)
};

// Fills slots[p] with the cache slot of the token at position p that new token `t` sees. Returns
// the number of positions.
int64_t ListSeenSlots(const RaggedBatch& batch, int t, std::vector<int64_t>& slots) {
  const int sequence = batch.sequence_of[t];
  const int64_t num_cached = batch.num_cached[sequence];
  const int first_token = batch.query_begin[sequence];
  std::iota(slots.begin(), slots.begin() + num_cached, int64_t{0});
  int64_t count = num_cached;
  if (batch.tree_mask == nullptr) {
    for (int j = first_token; j <= t; ++j)
      slots[static_cast<size_t>(count++)] = num_cached + j - first_token;
    return count;
  }
  const uint64_t* mask = batch.tree_mask + int64_t{t} * 2;
  const int num_new = batch.query_begin[sequence + 1] - first_token;
  for (int j = 0; j < num_new; ++j) {
    if ((mask[j / 64] >> (j % 64) & 1) != 0) slots[static_cast<size_t>(count++)] = num_cached + j;
  }
  std::sort(slots.begin() + num_cached, slots.begin() + count, [&](int64_t a, int64_t b) {
    return batch.positions[first_token + a - num_cached] <
           batch.positions[first_token + b - num_cached];
  });
  return count;
}

// Softmax over one chunk of positions [begin, end): weights times values to scratch.chunk_output.
SoftmaxState AttendChunk(const AttentionArgs& args, const ReferenceKvCache& cache,
                         const Query& query, int64_t begin, int64_t end, Scratch& scratch) {
  const int64_t head_size = cache.shape().head_size;
  const int block_size = cache.shape().block_size;
  SoftmaxState state;
  for (int64_t p = begin; p < end; ++p) {
    const KvSlot place =
        FindSlot(*args.batch, query.sequence, scratch.slots[static_cast<size_t>(p)], block_size);
    const float* key = cache.Keys(args.layer, place.block, query.kv_head) + place.offset;
    float dot = 0;
    for (int64_t d = 0; d < head_size; ++d) dot += query.q[d] * key[d * block_size];
    const float score = dot * args.scale;
    scratch.scores[static_cast<size_t>(p - begin)] = score;
    state.max = std::max(state.max, score);
  }
  float* output = scratch.chunk_output.data();
  std::fill_n(output, head_size, 0.0f);
  for (int64_t p = begin; p < end; ++p) {
    const KvSlot place =
        FindSlot(*args.batch, query.sequence, scratch.slots[static_cast<size_t>(p)], block_size);
    const float* value =
        cache.Values(args.layer, place.block, query.kv_head) + place.offset * head_size;
    const float weight = std::exp(scratch.scores[static_cast<size_t>(p - begin)] - state.max);
    state.sum += weight;
    for (int64_t d = 0; d < head_size; ++d) output[d] += weight * value[d];
  }
  return state;
}

// All chunks of one query; the output stands in scratch.output.
void Attend(const AttentionArgs& args, const ReferenceKvCache& cache, const Query& query,
            Scratch& scratch) {
  const int64_t head_size = cache.shape().head_size;
  float* output = scratch.output.data();
  std::fill_n(output, head_size, 0.0f);
  SoftmaxState total;
  int64_t begin = query.first_position;
  while (begin < query.end_position) {
    const int64_t chunk_end = (begin / kAttentionChunkTokens + 1) * kAttentionChunkTokens;
    const int64_t end = std::min(chunk_end, query.end_position);
    const SoftmaxState chunk = AttendChunk(args, cache, query, begin, end, scratch);
    const float max = std::max(total.max, chunk.max);
    const float old_factor = std::exp(total.max - max);
    const float new_factor = std::exp(chunk.max - max);
    total = {max, total.sum * old_factor + chunk.sum * new_factor};
    for (int64_t d = 0; d < head_size; ++d) {
      output[d] =
          output[d] * old_factor + scratch.chunk_output[static_cast<size_t>(d)] * new_factor;
    }
    begin = end;
  }
  for (int64_t d = 0; d < head_size; ++d) output[d] /= total.sum;
}

}  // namespace

void Attention(const AttentionArgs& args, Scratch& scratch) {
  const RaggedBatch& batch = *args.batch;
  const auto& cache = static_cast<const ReferenceKvCache&>(*args.cache);
  const int64_t head_size = cache.shape().head_size;
  const int heads_per_kv = args.num_heads / cache.shape().num_kv_heads;
  for (int t = 0; t < batch.num_tokens; ++t) {
    Query query{.sequence = batch.sequence_of[t], .q = scratch.query.data()};
    const int64_t length = batch.positions[t] + int64_t{1};
    BANYAN_CHECK_LE(length, static_cast<int64_t>(scratch.slots.size()));
    query.end_position = ListSeenSlots(batch, t, scratch.slots);
    BANYAN_CHECK_EQ(query.end_position, length)
        << "token " << t << " sees another number of tokens";
    if (args.sliding_window > 0) {
      query.first_position = std::max<int64_t>(0, length - args.sliding_window);
    }
    for (int h = 0; h < args.num_heads; ++h) {
      query.kv_head = h / heads_per_kv;
      for (int64_t d = 0; d < head_size; ++d) {
        scratch.query[static_cast<size_t>(d)] = LoadElement(args.q, t, h * head_size + d);
      }
      Attend(args, cache, query, scratch);
      for (int64_t d = 0; d < head_size; ++d) {
        StoreElement(args.out, t, h * head_size + d, scratch.output[static_cast<size_t>(d)]);
      }
    }
  }
}

}  // namespace banyan::kernels::reference
