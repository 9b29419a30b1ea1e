#include "worker/model/model_executor.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace banyan::worker {
namespace {

// The row with its pointers set to the plan's own vectors.
kernels::SamplingRow BindRow(const SamplePlan& plan) {
  kernels::SamplingRow row = plan.row;
  row.adjustments = plan.adjustments.data();
  row.num_adjustments = static_cast<int32_t>(plan.adjustments.size());
  row.allowed = plan.allowed.empty() ? nullptr : plan.allowed.data();
  row.num_allowed = static_cast<int32_t>(plan.allowed.size());
  row.banned = plan.banned.data();
  row.num_banned = static_cast<int32_t>(plan.banned.size());
  return row;
}

}  // namespace

ModelExecutor::ModelExecutor(std::unique_ptr<Transformer> model,
                             std::unique_ptr<kernels::KvCache> cache,
                             std::unique_ptr<StepBatch> batch)
    : model_(std::move(model)), cache_(std::move(cache)), batch_(std::move(batch)) {}

absl::StatusOr<std::unique_ptr<ModelExecutor>> ModelExecutor::Create(
    std::unique_ptr<Transformer> model, int32_t num_blocks) {
  kernels::Backend& backend = model->backend();
  BANYAN_ASSIGN_OR_RETURN(std::unique_ptr<kernels::KvCache> cache,
                          backend.CreateKvCache(model->CacheShape(num_blocks)));
  const StepLimits limits{.options = model->options(),
                          .vocabulary_size = model->config().vocabulary_size,
                          .num_blocks = num_blocks};
  BANYAN_ASSIGN_OR_RETURN(std::unique_ptr<StepBatch> batch, StepBatch::Create(limits, backend));
  return std::unique_ptr<ModelExecutor>(
      new ModelExecutor(std::move(model), std::move(cache), std::move(batch)));
}

absl::Status ModelExecutor::Execute(const StepPlan& plan, StepResult& result) {
  result.tokens.clear();
  CopyBlocks(plan.copies);
  if (plan.sequences.empty()) return absl::OkStatus();

  batch_->Fill(plan);
  model_->Forward(batch_->batch(), batch_->token_ids(), *cache_);

  rows_.clear();
  for (const SequencePlan& sequence : plan.sequences) {
    for (const SamplePlan& sample : sequence.samples) rows_.push_back(BindRow(sample));
  }
  result.tokens.resize(rows_.size());
  const int32_t num_samples = batch_->num_samples();
  const int32_t max_rows = model_->options().max_logit_rows;
  for (int32_t begin = 0; begin < num_samples; begin += max_rows) {
    Sample(begin, std::min(begin + max_rows, num_samples), result);
  }
  model_->backend().Synchronize();
  return absl::OkStatus();
}

void ModelExecutor::CopyBlocks(const std::vector<BlockCopy>& copies) {
  if (copies.empty()) return;
  copy_from_.clear();
  copy_to_.clear();
  const int32_t num_blocks = cache_->shape().num_blocks;
  for (const BlockCopy& copy : copies) {
    for (BlockId id : {copy.from, copy.to}) {
      const auto block = static_cast<int32_t>(id);
      BANYAN_CHECK(block >= 0 && block < num_blocks) << "block " << block;
    }
    copy_from_.push_back(copy.from);
    copy_to_.push_back(copy.to);
  }
  model_->backend().CopyBlocks({.cache = cache_.get(),
                                .from = copy_from_.data(),
                                .to = copy_to_.data(),
                                .num_blocks = static_cast<int>(copies.size())});
}

void ModelExecutor::Sample(int32_t begin, int32_t end, StepResult& result) {
  const kernels::Matrix logits =
      model_->ComputeLogits(batch_->UploadSampleRows(begin, end), end - begin);
  model_->backend().Sample(
      {.logits = logits, .rows = rows_.data() + begin, .out = result.tokens.data() + begin});
}

}  // namespace banyan::worker
