#include "kernels/reference/storage.h"

#include <algorithm>

namespace banyan::kernels::reference {

ReferenceMatrix::ReferenceMatrix(const MatrixSource& source, DType dtype)
    : rows_(source.rows),
      cols_(source.cols),
      values_(SizeBytes(source.rows, source.cols) / sizeof(float)) {
  std::vector<float> rows(static_cast<size_t>(kPanelRows * cols_));
  for (int64_t begin = 0; begin < rows_; begin += kPanelRows) {
    const int64_t end = std::min(begin + kPanelRows, rows_);
    source.read_rows(begin, end, rows.data());
    float* panel = values_.data() + begin * cols_;
    for (int64_t row = 0; row < end - begin; ++row) {
      for (int64_t col = 0; col < cols_; ++col) {
        panel[col * kPanelRows + row] =
            Rounded(dtype, rows[static_cast<size_t>(row * cols_ + col)]);
      }
    }
  }
}

}  // namespace banyan::kernels::reference
