// All kernels compiled for the `scalar` path.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/bfloat16.h"
#include "kernels/cpu/attention_scratch.h"
#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/target.h"

namespace banyan::kernels::cpu {
namespace {

// clang-format off: each file builds on the ones before it.
#include "kernels/cpu/vec_scalar.inc"
#include "kernels/cpu/elements.inc"
#include "kernels/cpu/linear.inc"
#include "kernels/cpu/row_ops.inc"
#include "kernels/cpu/rope_kv.inc"
#include "kernels/cpu/attention_tiles.inc"
#include "kernels/cpu/attention.inc"
#include "kernels/cpu/sample_draw.inc"
#include "kernels/cpu/sample_scans.inc"
// clang-format on

}  // namespace
}  // namespace banyan::kernels::cpu

namespace banyan::kernels::cpu {

const KernelTable& ScalarKernels(DType activation) {
  static const KernelTable float32 = MakeTable<Float32>();
  static const KernelTable bfloat16 = MakeTable<BFloat16>();
  return activation == DType::kFloat32 ? float32 : bfloat16;
}

}  // namespace banyan::kernels::cpu
