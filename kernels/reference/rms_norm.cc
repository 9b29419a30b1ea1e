// residual += delta;  out[c] = residual[c] / sqrt(mean(residual^2) + epsilon) * weight[c]
#include <array>
#include <cmath>

#include "common/base/check.h"
#include "kernels/reference/ops.h"
#include "kernels/reference/storage.h"

namespace banyan::kernels::reference {

float InverseRootMeanSquare(const float* values, int64_t size, float epsilon) {
  constexpr size_t kLanes = 16;
  std::array<float, kLanes> lanes{};
  for (int64_t i = 0; i < size; ++i)
    lanes[static_cast<size_t>(i) % kLanes] += values[i] * values[i];
  float sum = 0;
  for (float lane : lanes) sum += lane;
  return 1.0f / std::sqrt(sum / static_cast<float>(size) + epsilon);
}

void RmsNorm(const RmsNormArgs& args) {
  BANYAN_CHECK_EQ(args.out.cols, args.residual.cols);
  for (int64_t t = 0; t < args.out.rows; ++t) {
    float* residual = args.residual.Row<float>(t);
    if (args.delta != nullptr) {
      const float* delta = args.delta->Row<float>(t);
      for (int64_t c = 0; c < args.out.cols; ++c) residual[c] += delta[c];
    }
    const float scale = InverseRootMeanSquare(residual, args.out.cols, args.epsilon);
    for (int64_t c = 0; c < args.out.cols; ++c) {
      StoreElement(args.out, t, c, residual[c] * scale * args.weight[c]);
    }
  }
}

}  // namespace banyan::kernels::reference
