// The CPU backend: packed weights, tiles in registers, one thread a core; the instruction set is
// chosen at run time. docs/kernels-cpu.md describes layouts, numerics and measured speed.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "kernels/cpu/cpu_isa.h"

namespace banyan::kernels {

struct CpuBackendOptions {
  // Threads including the caller's; 0: one a usable physical core. At most kCpuThreadsMax.
  int threads = 0;
  // Absent: what the environment variable BANYAN_CPU_ISA names, else the fastest supported path.
  std::optional<cpu::Isa> isa = std::nullopt;
  // dtype of activations, weights and KV.
  DType activation = DType::kBFloat16;
};

inline constexpr int kCpuThreadsMax = 512;

// INVALID_ARGUMENT when an option or BANYAN_CPU_ISA names what this machine cannot do.
absl::StatusOr<std::unique_ptr<Backend>> CreateCpuBackend(const CpuBackendOptions& options);

}  // namespace banyan::kernels
