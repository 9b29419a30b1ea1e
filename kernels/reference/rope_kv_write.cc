// Per new token: q and k heads are normalised (Qwen3) and rotated, q goes to q_out, k and v to the
// token's slot in the cache.
#include <vector>

#include "common/base/check.h"
#include "kernels/reference/ops.h"
#include "kernels/reference/storage.h"

namespace banyan::kernels::reference {
namespace {

// Normalises with `weight` where it is not null.
void NormaliseHead(float* head, int64_t head_size, const float* weight, float epsilon) {
  if (weight == nullptr) return;
  const float scale = InverseRootMeanSquare(head, head_size, epsilon);
  for (int64_t d = 0; d < head_size; ++d) head[d] = head[d] * scale * weight[d];
}

void RotateHead(float* head, int64_t head_size, const float* cos, const float* sin) {
  const int64_t half = head_size / 2;
  for (int64_t i = 0; i < half; ++i) {
    const float low = head[i];
    const float high = head[i + half];
    head[i] = low * cos[i] - high * sin[i];
    head[i + half] = high * cos[i] + low * sin[i];
  }
}

}  // namespace

void RopeKvWrite(const RopeKvWriteArgs& args) {
  const RaggedBatch& batch = *args.batch;
  auto& cache = static_cast<ReferenceKvCache&>(*args.cache);
  const int64_t head_size = cache.shape().head_size;
  const int num_kv_heads = cache.shape().num_kv_heads;
  const int block_size = cache.shape().block_size;
  BANYAN_CHECK_EQ(args.qkv.cols, (args.num_heads + 2 * num_kv_heads) * head_size);
  for (int t = 0; t < batch.num_tokens; ++t) {
    const int sequence = batch.sequence_of[t];
    const int64_t slot = int64_t{batch.num_cached[sequence]} + t - batch.query_begin[sequence];
    const KvSlot place = FindSlot(batch, sequence, slot, block_size);
    const float* cos = args.cos + int64_t{batch.positions[t]} * (head_size / 2);
    const float* sin = args.sin + int64_t{batch.positions[t]} * (head_size / 2);
    float* head = args.qkv.Row<float>(t);
    for (int h = 0; h < args.num_heads; ++h, head += head_size) {
      NormaliseHead(head, head_size, args.q_norm, args.norm_epsilon);
      RotateHead(head, head_size, cos, sin);
      for (int64_t d = 0; d < head_size; ++d) {
        StoreElement(args.q_out, t, h * head_size + d, head[d]);
      }
    }
    for (int g = 0; g < num_kv_heads; ++g, head += head_size) {
      NormaliseHead(head, head_size, args.k_norm, args.norm_epsilon);
      RotateHead(head, head_size, cos, sin);
      float* keys = cache.Keys(args.layer, place.block, g) + place.offset;
      for (int64_t d = 0; d < head_size; ++d)
        keys[d * block_size] = Rounded(cache.dtype(), head[d]);
    }
    for (int g = 0; g < num_kv_heads; ++g, head += head_size) {
      float* values = cache.Values(args.layer, place.block, g) + place.offset * head_size;
      for (int64_t d = 0; d < head_size; ++d) values[d] = Rounded(cache.dtype(), head[d]);
    }
  }
}

}  // namespace banyan::kernels::reference
