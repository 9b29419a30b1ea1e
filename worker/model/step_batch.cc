#include "worker/model/step_batch.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace banyan::worker {
namespace {

int64_t BlocksFor(int64_t num_tokens, int64_t block_size) {
  return (num_tokens + block_size - 1) / block_size;
}

int64_t LengthOf(const SequencePlan& sequence) {
  return int64_t{sequence.num_cached} + static_cast<int64_t>(sequence.new_tokens.size());
}

}  // namespace

StepBatch::StepBatch(const StepLimits& limits, kernels::Backend& backend)
    : limits_(limits), backend_(backend) {
  const auto tokens = static_cast<size_t>(limits.options.max_step_tokens);
  const auto sequences = static_cast<size_t>(limits.options.max_sequences);
  num_cached_begin_ = query_begin_begin_ + sequences + 1;
  positions_begin_ = num_cached_begin_ + sequences;
  sequence_of_begin_ = positions_begin_ + tokens;
  token_ids_begin_ = sequence_of_begin_ + tokens;
  sample_group_begin_ = token_ids_begin_ + tokens;
  block_tables_begin_ = sample_group_begin_ + static_cast<size_t>(limits.options.max_logit_rows);
  const int64_t table_max = BlocksFor(limits.options.context_length, limits.options.block_size);
  host_.resize(block_tables_begin_ + sequences * static_cast<size_t>(table_max));
}

absl::StatusOr<std::unique_ptr<StepBatch>> StepBatch::Create(const StepLimits& limits,
                                                             kernels::Backend& backend) {
  auto batch = std::unique_ptr<StepBatch>(new StepBatch(limits, backend));
  BANYAN_ASSIGN_OR_RETURN(batch->device_, backend.Allocate(batch->host_.size() * sizeof(int32_t)));
  return batch;
}

void StepBatch::Fill(const StepPlan& plan) {
  const auto num_sequences = static_cast<int32_t>(plan.sequences.size());
  BANYAN_CHECK_LE(num_sequences, limits_.options.max_sequences);
  BANYAN_CHECK_LE(plan.num_tokens, limits_.options.max_step_tokens);
  table_pitch_ = 0;
  for (const SequencePlan& sequence : plan.sequences) {
    const int64_t length = LengthOf(sequence);
    BANYAN_CHECK(sequence.num_cached >= 0 && !sequence.new_tokens.empty() &&
                 length <= limits_.options.context_length)
        << "sequence " << static_cast<int64_t>(sequence.sequence) << " of " << length << " tokens";
    table_pitch_ = std::max(table_pitch_, BlocksFor(length, limits_.options.block_size));
  }
  sample_rows_.clear();
  int32_t row = 0;
  host_[query_begin_begin_] = 0;
  for (int32_t s = 0; s < num_sequences; ++s) {
    const SequencePlan& sequence = plan.sequences[static_cast<size_t>(s)];
    BANYAN_CHECK_LE(row + static_cast<int64_t>(sequence.new_tokens.size()), plan.num_tokens);
    AddSequence(sequence, s, row);
    row += static_cast<int32_t>(sequence.new_tokens.size());
    host_[query_begin_begin_ + static_cast<size_t>(s) + 1] = row;
  }
  BANYAN_CHECK_EQ(row, plan.num_tokens);
  const size_t words =
      block_tables_begin_ + static_cast<size_t>(num_sequences) * static_cast<size_t>(table_pitch_);
  backend_.Upload(device_->data(), host_.data(), words * sizeof(int32_t));
  batch_ = {.num_sequences = num_sequences,
            .num_tokens = plan.num_tokens,
            .query_begin = Device<int32_t>(query_begin_begin_),
            .num_cached = Device<int32_t>(num_cached_begin_),
            .positions = Device<int32_t>(positions_begin_),
            .sequence_of = Device<int32_t>(sequence_of_begin_),
            .block_tables = Device<BlockId>(block_tables_begin_),
            .block_table_pitch = static_cast<int>(table_pitch_),
            .tree_mask = nullptr};
}

void StepBatch::AddSequence(const SequencePlan& sequence, int32_t index, int32_t first_row) {
  const auto num_new = static_cast<int32_t>(sequence.new_tokens.size());
  const int64_t num_blocks = BlocksFor(LengthOf(sequence), limits_.options.block_size);
  BANYAN_CHECK_LE(num_blocks, static_cast<int64_t>(sequence.block_table.size()));

  host_[num_cached_begin_ + static_cast<size_t>(index)] = sequence.num_cached;
  for (int32_t j = 0; j < num_new; ++j) {
    const auto row = static_cast<size_t>(first_row + j);
    const TokenId token = sequence.new_tokens[static_cast<size_t>(j)];
    BANYAN_CHECK(token >= 0 && token < limits_.vocabulary_size) << "token id " << token;
    host_[positions_begin_ + row] = sequence.num_cached + j;
    host_[sequence_of_begin_ + row] = index;
    host_[token_ids_begin_ + row] = token;
  }
  const size_t table =
      block_tables_begin_ + static_cast<size_t>(index) * static_cast<size_t>(table_pitch_);
  for (int64_t i = 0; i < num_blocks; ++i) {
    const auto block = static_cast<int32_t>(sequence.block_table[static_cast<size_t>(i)]);
    BANYAN_CHECK(block >= 0 && block < limits_.num_blocks) << "block " << block;
    host_[table + static_cast<size_t>(i)] = block;
  }
  for (const SamplePlan& sample : sequence.samples) {
    BANYAN_CHECK(sample.new_token >= 0 && sample.new_token < num_new);
    sample_rows_.push_back(first_row + sample.new_token);
  }
}

const int32_t* StepBatch::UploadSampleRows(int32_t begin, int32_t end) {
  BANYAN_CHECK(0 <= begin && begin <= end && end <= num_samples());
  BANYAN_CHECK_LE(end - begin, limits_.options.max_logit_rows);
  int32_t* group = Device<int32_t>(sample_group_begin_);
  backend_.Upload(group, sample_rows_.data() + begin,
                  static_cast<size_t>(end - begin) * sizeof(int32_t));
  return group;
}

}  // namespace banyan::worker
