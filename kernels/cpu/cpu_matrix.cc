#include "kernels/cpu/cpu_matrix.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "kernels/bfloat16.h"
#include "kernels/cpu/kv_layout.h"

namespace banyan::kernels::cpu {
namespace {

constexpr int kWideOutputs = 64;
constexpr int kNarrowOutputs = 32;

size_t PanelBytes(int64_t cols, DType dtype, int width) {
  const int64_t padded = dtype == DType::kBFloat16 ? RoundUp(cols, 2) : cols;
  return static_cast<size_t>(padded) * static_cast<size_t>(width) * SizeOf(dtype);
}

// One 16 x 16 piece stays in L1 on both sides.
constexpr int64_t kPieceCols = 16;

void TransposeFloat32(const float* rows, int64_t cols, int outputs, int width, float* panel) {
  for (int64_t begin = 0; begin < cols; begin += kPieceCols) {
    const int64_t end = std::min(cols, begin + kPieceCols);
    for (int n = 0; n < outputs; ++n) {
      const float* row = rows + n * cols;
      for (int64_t c = begin; c < end; ++c) panel[c * width + n] = row[c];
    }
  }
}

void TransposeBFloat16(const float* rows, int64_t cols, int outputs, int width, uint32_t* panel) {
  const int64_t pairs = cols / 2;
  for (int64_t begin = 0; begin < pairs; begin += kPieceCols) {
    const int64_t end = std::min(pairs, begin + kPieceCols);
    for (int n = 0; n < outputs; ++n) {
      const float* row = rows + n * cols;
      for (int64_t pair = begin; pair < end; ++pair) {
        panel[pair * width + n] =
            uint32_t{BFloat16FromFloat(row[2 * pair + 1])} << 16 | BFloat16FromFloat(row[2 * pair]);
      }
    }
  }
  if (cols % 2 == 0) return;
  for (int n = 0; n < outputs; ++n) {
    panel[pairs * width + n] = BFloat16FromFloat(rows[n * cols + cols - 1]);
  }
}

}  // namespace

int CpuMatrix::WidthFor(int64_t rows, int num_threads) {
  // Outputs of the thread that gets most panels.
  const auto share = [&](int width) {
    const int64_t panels = (rows + width - 1) / width;
    return (panels + num_threads - 1) / num_threads * width;
  };
  return share(kWideOutputs) > share(kNarrowOutputs) * 102 / 100 ? kNarrowOutputs : kWideOutputs;
}

size_t CpuMatrix::PackedBytes(int64_t rows, int64_t cols, DType dtype, int width) {
  return static_cast<size_t>(RoundUp(rows, width) / width) * PanelBytes(cols, dtype, width);
}

absl::StatusOr<std::unique_ptr<CpuMatrix>> CpuMatrix::Pack(const MatrixSource& source, DType dtype,
                                                           MemoryArena& arena, ThreadPool& pool) {
  std::unique_ptr<CpuMatrix> matrix(new CpuMatrix);
  matrix->rows_ = source.rows;
  matrix->cols_ = source.cols;
  matrix->dtype_ = dtype;
  matrix->width_ = WidthFor(source.rows, pool.num_threads());
  matrix->panel_bytes_ = PanelBytes(source.cols, dtype, matrix->width_);
  const size_t bytes = PackedBytes(source.rows, source.cols, dtype, matrix->width_);
  BANYAN_ASSIGN_OR_RETURN(matrix->memory_,
                          arena.Allocate(bytes, absl::StrFormat("weight %s", source.name)));
  const size_t panel_floats =
      static_cast<size_t>(source.cols) * static_cast<size_t>(matrix->width_);
  BANYAN_ASSIGN_OR_RETURN(
      MemoryRegion scratch,
      MemoryRegion::Map(panel_floats * sizeof(float) * static_cast<size_t>(pool.num_threads()),
                        absl::StrFormat("packing of weight %s", source.name)));
  auto* rows = reinterpret_cast<float*>(scratch.data());
  pool.ParallelFor(matrix->num_panels(), 1, [&](int thread, int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      matrix->PackPanel(source, panel, rows + static_cast<size_t>(thread) * panel_floats);
    }
  });
  return matrix;
}

void CpuMatrix::PackPanel(const MatrixSource& source, int64_t panel, float* rows) {
  const int64_t begin = panel * width_;
  const int64_t end = std::min(rows_, begin + width_);
  source.read_rows(begin, end, rows);
  const auto outputs = static_cast<int>(end - begin);
  if (dtype_ == DType::kFloat32) {
    TransposeFloat32(rows, cols_, outputs, width_, reinterpret_cast<float*>(Panel(panel)));
  } else {
    TransposeBFloat16(rows, cols_, outputs, width_, reinterpret_cast<uint32_t*>(Panel(panel)));
  }
}

void CpuMatrix::ReadRow(int64_t row, float* out) const {
  const char* panel = Panel(row / width_);
  const int64_t lane = row % width_;
  if (dtype_ == DType::kFloat32) {
    const auto* values = reinterpret_cast<const float*>(panel) + lane;
    for (int64_t c = 0; c < cols_; ++c) out[c] = values[c * width_];
    return;
  }
  const auto* values = reinterpret_cast<const uint16_t*>(panel) + 2 * lane;
  for (int64_t c = 0; c < cols_; ++c) {
    out[c] = FloatFromBFloat16(values[c / 2 * 2 * width_ + c % 2]);
  }
}

}  // namespace banyan::kernels::cpu
