// The instruction set paths of the CPU backend and which of them this machine can run.
//
// Each path is a different numerics: bits agree between equal paths only. Thread-safe.
#pragma once

#include <optional>
#include <string_view>

namespace banyan::kernels::cpu {

// In order of preference, slowest first.
enum class Isa {
  kScalar,  // baseline x86-64
  kAvx2,    // AVX2, FMA, F16C
  kAvx512,  // AVX-512 F, BW, VL, DQ, VNNI, BF16, VBMI
};

// "scalar", "avx2", "avx512".
std::string_view IsaName(Isa isa);
std::optional<Isa> ParseIsa(std::string_view name);

// Whether processor (CPUID) and operating system (XCR0) both support the path.
bool IsaSupported(Isa isa);
// The fastest supported path.
Isa BestIsa();

}  // namespace banyan::kernels::cpu
