#include "worker/model/load_model.h"

#include <utility>

#include "common/base/status_macros.h"

namespace banyan::worker {

absl::StatusOr<std::unique_ptr<Transformer>> LoadModel(const Checkpoint& checkpoint,
                                                       kernels::Backend& backend,
                                                       const ModelOptions& options,
                                                       const LoadProgress& progress) {
  BANYAN_ASSIGN_OR_RETURN(const ModelOptions resolved,
                          ResolveOptions(checkpoint.config(), options));
  BANYAN_ASSIGN_OR_RETURN(ModelWeights weights, LoadWeights(checkpoint, backend, progress));
  return Transformer::Create(checkpoint.config(), resolved, std::move(weights), backend);
}

}  // namespace banyan::worker
