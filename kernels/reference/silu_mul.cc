// out[t, i] = silu(gate_up[t, i]) * gate_up[t, I + i],  silu(x) = x / (1 + exp(-x))
#include <cmath>

#include "common/base/check.h"
#include "kernels/reference/ops.h"
#include "kernels/reference/storage.h"

namespace banyan::kernels::reference {

void SiluMul(const SiluMulArgs& args) {
  const int64_t size = args.out.cols;
  BANYAN_CHECK_EQ(args.gate_up.cols, 2 * size);
  for (int64_t t = 0; t < args.out.rows; ++t) {
    const float* gate = args.gate_up.Row<float>(t);
    const float* up = gate + size;
    for (int64_t i = 0; i < size; ++i) {
      StoreElement(args.out, t, i, gate[i] / (1.0f + std::exp(-gate[i])) * up[i]);
    }
  }
}

}  // namespace banyan::kernels::reference
