// Weights and KV cache as the reference keeps them, and access to elements of either dtype.
// Values are stored as float32; with bfloat16 activations they have been rounded before.
#pragma once

#include <vector>

#include "kernels/bfloat16.h"
#include "kernels/ops.h"

namespace banyan::kernels::reference {

// `value` as a tensor of `dtype` holds it.
inline float Rounded(DType dtype, float value) {
  return dtype == DType::kBFloat16 ? RoundToBFloat16(value) : value;
}

inline float LoadElement(const Matrix& matrix, int64_t row, int64_t col) {
  if (matrix.dtype == DType::kBFloat16)
    return FloatFromBFloat16(matrix.Row<BFloat16Bits>(row)[col]);
  return matrix.Row<float>(row)[col];
}

inline void StoreElement(const Matrix& matrix, int64_t row, int64_t col, float value) {
  if (matrix.dtype == DType::kBFloat16) {
    matrix.Row<BFloat16Bits>(row)[col] = BFloat16FromFloat(value);
  } else {
    matrix.Row<float>(row)[col] = value;
  }
}

// [N, C] in panels of 16 outputs: panel p holds rows 16p .. 16p + 15 as [C][16], zeros past N. So
// one input meets 16 neighbouring weights, and each output still sums its inputs in order.
class ReferenceMatrix final : public PackedMatrix {
 public:
  static constexpr int64_t kPanelRows = 16;

  ReferenceMatrix(const MatrixSource& source, DType dtype);

  int64_t rows() const override { return rows_; }
  int64_t cols() const override { return cols_; }
  size_t size_bytes() const override { return values_.size() * sizeof(float); }

  // [C][16]
  const float* Panel(int64_t panel) const { return values_.data() + panel * cols_ * kPanelRows; }
  float At(int64_t row, int64_t col) const {
    return Panel(row / kPanelRows)[col * kPanelRows + row % kPanelRows];
  }

  static size_t SizeBytes(int64_t rows, int64_t cols) {
    return static_cast<size_t>((rows + kPanelRows - 1) / kPanelRows * kPanelRows * cols) *
           sizeof(float);
  }

 private:
  int64_t rows_;
  int64_t cols_;
  std::vector<float> values_;
};

// Per layer and block: keys [K][D][B], then values [K][B][D].
class ReferenceKvCache final : public KvCache {
 public:
  ReferenceKvCache(const KvCacheShape& shape, DType dtype)
      : shape_(shape), dtype_(dtype), values_(SizeBytes(shape) / sizeof(float)) {}

  const KvCacheShape& shape() const override { return shape_; }
  size_t size_bytes() const override { return values_.size() * sizeof(float); }
  DType dtype() const { return dtype_; }

  // [D][B]
  float* Keys(int layer, BlockId block, int kv_head) {
    return values_.data() + Offset(layer, block, kv_head);
  }
  const float* Keys(int layer, BlockId block, int kv_head) const {
    return values_.data() + Offset(layer, block, kv_head);
  }
  // [B][D]
  float* Values(int layer, BlockId block, int kv_head) {
    return values_.data() + Offset(layer, block, shape_.num_kv_heads + kv_head);
  }
  const float* Values(int layer, BlockId block, int kv_head) const {
    return values_.data() + Offset(layer, block, shape_.num_kv_heads + kv_head);
  }
  // Floats of one block of one layer: all heads, keys and values, from Keys(layer, block, 0) on.
  size_t BlockFloats() const { return static_cast<size_t>(2 * shape_.num_kv_heads) * HeadFloats(); }

  static size_t SizeBytes(const KvCacheShape& shape) {
    return BytesPerBlock(shape) * static_cast<size_t>(shape.num_blocks);
  }
  static size_t BytesPerBlock(const KvCacheShape& shape) {
    return size_t{2} * static_cast<size_t>(shape.num_layers) *
           static_cast<size_t>(shape.num_kv_heads) * static_cast<size_t>(shape.head_size) *
           static_cast<size_t>(shape.block_size) * sizeof(float);
  }

 private:
  size_t HeadFloats() const {
    return static_cast<size_t>(shape_.head_size) * static_cast<size_t>(shape_.block_size);
  }
  size_t Offset(int layer, BlockId block, int head) const {
    const size_t index = static_cast<size_t>(layer) * static_cast<size_t>(shape_.num_blocks) +
                         static_cast<size_t>(block);
    return index * BlockFloats() + static_cast<size_t>(head) * HeadFloats();
  }

  KvCacheShape shape_;
  DType dtype_;
  std::vector<float> values_;
};

// The block and the place in it where slot `slot` of sequence `sequence` lives.
struct KvSlot {
  BlockId block{};
  int offset = 0;
};
inline KvSlot FindSlot(const RaggedBatch& batch, int sequence, int64_t slot, int block_size) {
  const int64_t row = static_cast<int64_t>(sequence) * batch.block_table_pitch;
  return {batch.block_tables[row + slot / block_size], static_cast<int>(slot % block_size)};
}

}  // namespace banyan::kernels::reference
