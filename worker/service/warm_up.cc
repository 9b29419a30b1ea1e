#include "worker/service/warm_up.h"

#include <algorithm>

#include "common/base/status_macros.h"

namespace banyan::worker {
namespace {

// Draws greedily after the last of `tokens`.
StepPlan MakePlan(int64_t step, int32_t num_cached, std::vector<TokenId> tokens,
                  int32_t block_size) {
  StepPlan plan;
  plan.step = step;
  plan.num_tokens = static_cast<int32_t>(tokens.size());
  SequencePlan sequence;
  sequence.num_cached = num_cached;
  const int32_t end = num_cached + plan.num_tokens;
  for (int32_t block = 0; block * block_size < end; ++block) {
    sequence.block_table.push_back(static_cast<BlockId>(block));
  }
  SamplePlan sample;
  sample.new_token = plan.num_tokens - 1;
  sample.row.temperature = 0;
  sample.row.position = static_cast<uint64_t>(end);
  sequence.samples.push_back(sample);
  sequence.new_tokens = std::move(tokens);
  plan.sequences.push_back(std::move(sequence));
  return plan;
}

}  // namespace

absl::Status WarmUp(StepExecutor& executor, const WarmUpLimits& limits) {
  const int64_t room =
      std::min<int64_t>(int64_t{limits.num_blocks} * limits.block_size, limits.context_length);
  const int32_t num_prompt =
      std::min({kWarmUpPromptTokens, limits.max_step_tokens, static_cast<int32_t>(room)});
  std::vector<TokenId> tokens(static_cast<size_t>(num_prompt), 0);
  int32_t num_cached = 0;
  StepResult result;
  for (int64_t step = 0; step <= kWarmUpDecodeTokens && num_cached < room; ++step) {
    const auto num_new = static_cast<int32_t>(tokens.size());
    BANYAN_RETURN_IF_ERROR(
        executor.Execute(MakePlan(step, num_cached, std::move(tokens), limits.block_size), result));
    if (result.tokens.empty() || !result.tokens[0].finite) {
      return absl::InternalError("the model's logits are not finite: the weights are damaged");
    }
    num_cached += num_new;
    tokens = {result.tokens[0].token};
  }
  return absl::OkStatus();
}

}  // namespace banyan::worker
