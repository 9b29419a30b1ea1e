// Element types and the views that ops read and write. Views own nothing and check nothing.
//
// Shape letters, used in every kernel and model file:
//   T tokens of a step   S sequences of a step   H query heads   K key/value heads   D head size
//   B tokens per KV block   V vocabulary   L layers   N outputs of a linear layer   C its inputs
#pragma once

#include <cstddef>
#include <cstdint>

namespace banyan::kernels {

enum class DType : uint8_t { kFloat32, kBFloat16 };

constexpr size_t SizeOf(DType dtype) { return dtype == DType::kFloat32 ? 4 : 2; }

// A row-major matrix in the backend's memory. Rows are `pitch` elements apart; pitch >= cols.
struct Matrix {
  void* data = nullptr;
  DType dtype = DType::kFloat32;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t pitch = 0;

  template <typename T>
  T* Row(int64_t row) const {
    return static_cast<T*>(data) + row * pitch;
  }
};

}  // namespace banyan::kernels
