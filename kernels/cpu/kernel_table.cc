#include "kernels/cpu/kernel_table.h"

#include "common/base/check.h"
#include "kernels/cpu/attention_scratch.h"

namespace banyan::kernels::cpu {

size_t AttentionScratchBytes(int head_size) { return AttentionScratch::Bytes(head_size); }

const KernelTable& KernelsFor(Isa isa, DType activation) {
  BANYAN_CHECK(IsaSupported(isa)) << IsaName(isa) << " is not supported by this machine";
  switch (isa) {
    case Isa::kScalar:
      return ScalarKernels(activation);
    case Isa::kAvx2:
      return Avx2Kernels(activation);
    case Isa::kAvx512:
      return Avx512Kernels(activation);
  }
  return ScalarKernels(activation);
}

}  // namespace banyan::kernels::cpu
