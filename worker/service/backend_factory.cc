#include "worker/service/backend_factory.h"

#include "kernels/reference/reference_backend.h"

namespace banyan::worker {

absl::StatusOr<std::unique_ptr<kernels::Backend>> CreateBackend(const WorkerOptions& options) {
  const kernels::DType dtype =
      options.dtype == "f32" ? kernels::DType::kFloat32 : kernels::DType::kBFloat16;
  return kernels::CreateReferenceBackend(dtype);
}

}  // namespace banyan::worker
