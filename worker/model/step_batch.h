// A step plan as the arrays that ops read. Allocated once, refilled every step. Engine thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "worker/model/model_options.h"
#include "worker/request/step_plan.h"

namespace banyan::worker {

// Limits that a plan is checked against while it is flattened.
struct StepLimits {
  ModelOptions options;  // resolved
  int64_t vocabulary_size = 0;
  int32_t num_blocks = 0;
};

class StepBatch {
 public:
  static absl::StatusOr<std::unique_ptr<StepBatch>> Create(const StepLimits& limits,
                                                           kernels::Backend& backend);

  // Flattens `plan` and uploads it. Checks every size and index against the limits: a plan that
  // does not fit is a bug of the scheduler.
  void Fill(const StepPlan& plan);

  // All arrays are in the backend's memory and hold until the next Fill().
  const kernels::RaggedBatch& batch() const { return batch_; }
  const TokenId* token_ids() const { return Device<TokenId>(token_ids_begin_); }
  // Samples of the plan; a plan may draw several from one token.
  int32_t num_samples() const { return static_cast<int32_t>(sample_rows_.size()); }
  // Uploads which rows of [T, .] matrices samples [begin, end) draw from, in plan order. At most
  // max_logit_rows; holds until the next call.
  const int32_t* UploadSampleRows(int32_t begin, int32_t end);

 private:
  StepBatch(const StepLimits& limits, kernels::Backend& backend);
  void AddSequence(const SequencePlan& sequence, int32_t index, int32_t first_row);

  template <typename T>
  T* Host(size_t begin) {
    return reinterpret_cast<T*>(host_.data()) + begin;
  }
  template <typename T>
  T* Device(size_t begin) const {
    return static_cast<T*>(device_->data()) + begin;
  }

  const StepLimits limits_;
  kernels::Backend& backend_;
  // One array of 32-bit words, in these parts.
  size_t query_begin_begin_ = 0;
  size_t num_cached_begin_ = 0;
  size_t positions_begin_ = 0;
  size_t sequence_of_begin_ = 0;
  size_t token_ids_begin_ = 0;
  size_t sample_group_begin_ = 0;
  size_t block_tables_begin_ = 0;
  std::vector<int32_t> host_;
  std::unique_ptr<kernels::Buffer> device_;
  kernels::RaggedBatch batch_;
  int64_t table_pitch_ = 0;  // block table entries per sequence in this step
  std::vector<int32_t> sample_rows_;
};

}  // namespace banyan::worker
