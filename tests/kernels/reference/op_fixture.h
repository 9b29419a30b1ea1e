// What tests of reference ops share: matrices that own their values, packed weights, seeded random
// numbers and small ragged batches.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "common/base/check.h"
#include "kernels/bfloat16.h"
#include "kernels/philox.h"
#include "kernels/reference/reference_backend.h"

namespace banyan::kernels::testing {

// Values in (-1, 1), the same for the same seed.
inline std::vector<float> RandomValues(size_t size, uint64_t seed) {
  std::vector<float> values(size);
  for (size_t i = 0; i < size; ++i) {
    const uint32_t bits = NoiseBits({seed, 0, 0}, static_cast<uint32_t>(i / 4))[i % 4];
    values[i] = static_cast<float>(bits >> 8) * 0x1p-23f - 1.0f;
  }
  return values;
}

// A matrix with its memory. The pitch is larger than the row, and what lies between rows is NaN.
class OwnedMatrix {
 public:
  OwnedMatrix(int64_t rows, int64_t cols, DType dtype = DType::kFloat32)
      : rows_(rows), cols_(cols), dtype_(dtype) {
    floats_.assign(static_cast<size_t>(rows * Pitch()), std::bit_cast<float>(0x7FC07FC0u));
  }
  OwnedMatrix(int64_t rows, int64_t cols, const std::vector<float>& values)
      : OwnedMatrix(rows, cols) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) Set(r, c, values[static_cast<size_t>(r * cols + c)]);
    }
  }

  Matrix view() { return {floats_.data(), dtype_, rows_, cols_, Pitch()}; }
  float At(int64_t row, int64_t col) {
    return dtype_ == DType::kFloat32 ? view().Row<float>(row)[col]
                                     : FloatFromBFloat16(view().Row<BFloat16Bits>(row)[col]);
  }
  void Set(int64_t row, int64_t col, float value) {
    if (dtype_ == DType::kFloat32) {
      view().Row<float>(row)[col] = value;
    } else {
      view().Row<BFloat16Bits>(row)[col] = BFloat16FromFloat(value);
    }
  }
  std::vector<float> Values() {
    std::vector<float> values;
    for (int64_t r = 0; r < rows_; ++r) {
      for (int64_t c = 0; c < cols_; ++c) values.push_back(At(r, c));
    }
    return values;
  }

 private:
  int64_t Pitch() const { return cols_ + 3; }

  int64_t rows_;
  int64_t cols_;
  DType dtype_;
  std::vector<float> floats_;
};

inline std::unique_ptr<Backend> MakeReference(DType activation = DType::kFloat32) {
  std::unique_ptr<Backend> backend = CreateReferenceBackend(activation);
  BANYAN_CHECK(backend->Reserve({}).ok());
  return backend;
}

inline std::unique_ptr<PackedMatrix> PackValues(Backend& backend, int64_t rows, int64_t cols,
                                                const std::vector<float>& values) {
  MatrixSource source{.name = "weight", .rows = rows, .cols = cols, .read_rows = {}};
  source.read_rows = [&](int64_t begin, int64_t end, float* out) {
    std::copy(values.begin() + begin * cols, values.begin() + end * cols, out);
  };
  auto packed = backend.Pack(source);
  BANYAN_CHECK(packed.ok()) << packed.status().ToString();
  return *std::move(packed);
}

// A batch with its arrays. Sequence s has num_cached[s] tokens in the cache and num_new[s] new
// ones; its blocks are tables[s].
class OwnedBatch {
 public:
  OwnedBatch(std::vector<int32_t> num_cached, std::vector<int32_t> num_new,
             const std::vector<std::vector<int32_t>>& tables)
      : num_cached_(std::move(num_cached)) {
    size_t pitch = 0;
    for (const auto& table : tables) pitch = std::max(pitch, table.size());
    tables_.resize(pitch * tables.size());
    for (size_t s = 0; s < tables.size(); ++s) {
      for (size_t i = 0; i < tables[s].size(); ++i) {
        tables_[s * pitch + i] = static_cast<BlockId>(tables[s][i]);
      }
      for (int32_t j = 0; j < num_new[s]; ++j) {
        positions_.push_back(num_cached_[s] + j);
        sequence_of_.push_back(static_cast<int32_t>(s));
      }
      query_begin_.push_back(static_cast<int32_t>(positions_.size()));
    }
    pitch_ = static_cast<int>(pitch);
  }

  void SetPositions(std::vector<int32_t> positions) { positions_ = std::move(positions); }
  // mask[t] names the new tokens of its sequence that token t sees.
  void SetTree(const std::vector<std::vector<int>>& mask) {
    tree_mask_.assign(mask.size() * 2, 0);
    for (size_t t = 0; t < mask.size(); ++t) {
      for (int j : mask[t]) {
        tree_mask_[t * 2 + static_cast<size_t>(j) / 64] |= uint64_t{1} << (j % 64);
      }
    }
  }
  RaggedBatch view() const {
    return {.num_sequences = static_cast<int>(num_cached_.size()),
            .num_tokens = static_cast<int>(positions_.size()),
            .query_begin = query_begin_.data(),
            .num_cached = num_cached_.data(),
            .positions = positions_.data(),
            .sequence_of = sequence_of_.data(),
            .block_tables = tables_.data(),
            .block_table_pitch = pitch_,
            .tree_mask = tree_mask_.empty() ? nullptr : tree_mask_.data()};
  }
  int num_tokens() const { return static_cast<int>(positions_.size()); }

 private:
  std::vector<int32_t> query_begin_ = {0};
  std::vector<int32_t> num_cached_;
  std::vector<int32_t> positions_;
  std::vector<int32_t> sequence_of_;
  std::vector<BlockId> tables_;
  std::vector<uint64_t> tree_mask_;
  int pitch_ = 0;
};

}  // namespace banyan::kernels::testing
