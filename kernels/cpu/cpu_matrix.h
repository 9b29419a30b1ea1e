// A weight packed into panels.
//
// A panel holds `width` outputs with all of C: [ceil(C / 2)][width][2] bfloat16 or [C][width]
// float32. It is one forward stream, and the rows of a tile share it. Missing outputs of the last
// panel and the missing half of an odd C are zero.
#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "kernels/cpu/memory_region.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/ops.h"

namespace banyan::kernels::cpu {

class CpuMatrix final : public PackedMatrix {
 public:
  // Packs into the arena on all threads of the pool. RESOURCE_EXHAUSTED when memory is missing.
  static absl::StatusOr<std::unique_ptr<CpuMatrix>> Pack(const MatrixSource& source, DType dtype,
                                                         MemoryArena& arena, ThreadPool& pool);
  // 64, or 32 where panels of 64 cannot be shared out evenly. Results do not depend on it.
  static int WidthFor(int64_t rows, int num_threads);
  static size_t PackedBytes(int64_t rows, int64_t cols, DType dtype, int width);

  int64_t rows() const override { return rows_; }
  int64_t cols() const override { return cols_; }
  size_t size_bytes() const override { return memory_.size_bytes(); }
  DType dtype() const { return dtype_; }
  int width() const { return width_; }
  int64_t num_panels() const { return (rows_ + width_ - 1) / width_; }
  size_t panel_bytes() const { return panel_bytes_; }
  char* Panel(int64_t panel) const {
    return memory_.data() + static_cast<size_t>(panel) * panel_bytes_;
  }

  // out[0, C) = row `row` in float32.
  void ReadRow(int64_t row, float* out) const;

 private:
  CpuMatrix() = default;
  void PackPanel(const MatrixSource& source, int64_t panel, float* rows);

  int64_t rows_ = 0;
  int64_t cols_ = 0;
  DType dtype_ = DType::kFloat32;
  int width_ = 0;
  size_t panel_bytes_ = 0;
  MemoryRegion memory_;
};

}  // namespace banyan::kernels::cpu
