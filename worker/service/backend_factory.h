// Which backend computes, by name. The one place above kernels/ that knows them all.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "worker/service/worker_options.h"

namespace banyan::worker {

// INVALID_ARGUMENT where the machine lacks what --isa asks for.
absl::StatusOr<std::unique_ptr<kernels::Backend>> CreateBackend(const WorkerOptions& options);

}  // namespace banyan::worker
