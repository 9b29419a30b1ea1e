// y[t, n] = sum_c x[t, c] * w[n, c] + bias[n], c ascending
#include <algorithm>
#include <array>

#include "common/base/check.h"
#include "kernels/reference/ops.h"
#include "kernels/reference/storage.h"

namespace banyan::kernels::reference {

void Linear(const LinearArgs& args) {
  constexpr int64_t kLanes = ReferenceMatrix::kPanelRows;
  const auto& weight = static_cast<const ReferenceMatrix&>(*args.weight);
  BANYAN_CHECK_EQ(args.x.cols, weight.cols());
  BANYAN_CHECK_EQ(args.y.cols, weight.rows());
  for (int64_t begin = 0; begin < weight.rows(); begin += kLanes) {
    const float* panel = weight.Panel(begin / kLanes);
    const int64_t num_outputs = std::min(kLanes, weight.rows() - begin);
    for (int64_t t = 0; t < args.y.rows; ++t) {
      std::array<float, kLanes> sums{};
      for (int64_t c = 0; c < weight.cols(); ++c) {
        const float x = LoadElement(args.x, t, c);
        for (size_t lane = 0; lane < kLanes; ++lane) {
          sums[lane] += x * panel[c * kLanes + static_cast<int64_t>(lane)];
        }
      }
      float* y = args.y.Row<float>(t) + begin;
      for (int64_t i = 0; i < num_outputs; ++i) {
        y[i] = sums[static_cast<size_t>(i)] + (args.bias == nullptr ? 0.0f : args.bias[begin + i]);
      }
    }
  }
}

}  // namespace banyan::kernels::reference
