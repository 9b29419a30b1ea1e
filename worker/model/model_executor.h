// Runs step plans on one device: copies blocks, runs the model over the plan's tokens, draws the
// tokens its samples ask for. Engine thread only.
//
// A plan is trusted: what it asks must fit the limits the executor was made with (checked, for a
// plan that does not fit is a bug).
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/model/step_batch.h"
#include "worker/model/transformer.h"
#include "worker/request/step_executor.h"

namespace banyan::worker {

class ModelExecutor final : public StepExecutor {
 public:
  // Allocates a KV pool of `num_blocks` blocks. The model's backend must outlive the executor.
  static absl::StatusOr<std::unique_ptr<ModelExecutor>> Create(std::unique_ptr<Transformer> model,
                                                               int32_t num_blocks);

  absl::Status Execute(const StepPlan& plan, StepResult& result) override;

  const Transformer& model() const { return *model_; }
  const kernels::KvCache& cache() const { return *cache_; }

 private:
  ModelExecutor(std::unique_ptr<Transformer> model, std::unique_ptr<kernels::KvCache> cache,
                std::unique_ptr<StepBatch> batch);
  void CopyBlocks(const std::vector<BlockCopy>& copies);
  // Draws for samples [begin, end) of the plan.
  void Sample(int32_t begin, int32_t end, StepResult& result);

  std::unique_ptr<Transformer> model_;
  std::unique_ptr<kernels::KvCache> cache_;
  std::unique_ptr<StepBatch> batch_;
  std::vector<kernels::SamplingRow> rows_;  // of the current step, one per sample
  std::vector<BlockId> copy_from_;
  std::vector<BlockId> copy_to_;
};

}  // namespace banyan::worker
