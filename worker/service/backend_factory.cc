#include "worker/service/backend_factory.h"

#include "kernels/cpu/cpu_backend.h"
#include "kernels/reference/reference_backend.h"

namespace banyan::worker {

absl::StatusOr<std::unique_ptr<kernels::Backend>> CreateBackend(const WorkerOptions& options) {
  const kernels::DType dtype =
      options.dtype == "f32" ? kernels::DType::kFloat32 : kernels::DType::kBFloat16;
  if (options.backend == "reference") return kernels::CreateReferenceBackend(dtype);
  // "auto" parses to nothing: the backend chooses.
  return kernels::CreateCpuBackend({.threads = static_cast<int>(options.threads),
                                    .isa = kernels::cpu::ParseIsa(options.isa),
                                    .activation = dtype});
}

}  // namespace banyan::worker
