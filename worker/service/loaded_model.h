// Everything of start-up that makes a model ready to serve: checkpoint, backend, memory check,
// weights, executor, warm-up, identity. Owns them in the order in which they may die.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/checkpoint/checkpoint.h"
#include "kernels/backend.h"
#include "worker/model/model_executor.h"
#include "worker/service/model_card.h"
#include "worker/service/request_conversion.h"
#include "worker/service/worker_identity.h"
#include "worker/service/worker_metrics.h"
#include "worker/service/worker_options.h"

namespace banyan::worker {

struct LoadedModel {
  std::unique_ptr<kernels::Backend> backend;
  std::unique_ptr<ModelExecutor> executor;  // dies before the backend
  std::unique_ptr<ModelCard> card;
  WorkerIdentity identity;  // worker_id and epoch are the process's
  ConversionLimits limits;
  std::vector<TokenId> eos_token_ids;
  MemoryUse memory;
  LoadTimes times;
};

// Logs worker_loading events with bytes and total while it reads. Errors: INVALID_ARGUMENT or
// NOT_FOUND for what is wrong with the model or an option, RESOURCE_EXHAUSTED with the numbers when
// memory does not suffice.
absl::StatusOr<LoadedModel> LoadForServing(const WorkerOptions& options);

}  // namespace banyan::worker
