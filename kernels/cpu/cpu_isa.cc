#include "kernels/cpu/cpu_isa.h"

#include <cpuid.h>

#include <cstdint>

namespace banyan::kernels::cpu {
namespace {

struct CpuFeatures {
  bool avx2 = false;
  bool avx512 = false;
};

constexpr bool Bit(uint32_t word, int bit) { return ((word >> bit) & 1u) != 0; }

// Which register states the operating system saves (Intel SDM volume 1, section 13.3).
uint64_t ReadXcr0() {
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

CpuFeatures DetectFeatures() {
  CpuFeatures features;
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) return features;
  const bool os_saves_state = Bit(ecx, 27);
  if (!os_saves_state) return features;
  const bool avx_fma_f16c = Bit(ecx, 28) && Bit(ecx, 12) && Bit(ecx, 29);
  const uint64_t xcr0 = ReadXcr0();
  const bool ymm_saved = (xcr0 & 0x6) == 0x6;
  const bool zmm_saved = (xcr0 & 0xe6) == 0xe6;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return features;
  const uint32_t max_subleaf = eax;
  features.avx2 = avx_fma_f16c && Bit(ebx, 5) && ymm_saved;
  const bool f_dq_bw_vl = Bit(ebx, 16) && Bit(ebx, 17) && Bit(ebx, 30) && Bit(ebx, 31);
  const bool vbmi_vnni = Bit(ecx, 1) && Bit(ecx, 11);
  bool bf16 = false;
  if (max_subleaf >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0) bf16 = Bit(eax, 5);
  features.avx512 = features.avx2 && f_dq_bw_vl && vbmi_vnni && bf16 && zmm_saved;
  return features;
}

const CpuFeatures& Features() {
  static const CpuFeatures features = DetectFeatures();
  return features;
}

}  // namespace

std::string_view IsaName(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return "scalar";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
  }
  return "unknown";
}

std::optional<Isa> ParseIsa(std::string_view name) {
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512}) {
    if (name == IsaName(isa)) return isa;
  }
  return std::nullopt;
}

bool IsaSupported(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return true;
    case Isa::kAvx2:
      return Features().avx2;
    case Isa::kAvx512:
      return Features().avx512;
  }
  return false;
}

Isa BestIsa() {
  if (IsaSupported(Isa::kAvx512)) return Isa::kAvx512;
  if (IsaSupported(Isa::kAvx2)) return Isa::kAvx2;
  return Isa::kScalar;
}

}  // namespace banyan::kernels::cpu
