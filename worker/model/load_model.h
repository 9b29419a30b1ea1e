// From a checkpoint to a model that can run.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/checkpoint/checkpoint.h"
#include "worker/model/model_weights.h"
#include "worker/model/transformer.h"

namespace banyan::worker {

// Resolves `options`, packs the weights (calling `progress` after each tensor, if set) and makes
// the buffers. The checkpoint may be closed afterwards; the backend must outlive the model. Errors
// as in ResolveOptions, LoadWeights and Transformer::Create.
absl::StatusOr<std::unique_ptr<Transformer>> LoadModel(const Checkpoint& checkpoint,
                                                       kernels::Backend& backend,
                                                       const ModelOptions& options,
                                                       const LoadProgress& progress);

}  // namespace banyan::worker
