#include "worker/sampling/sample_planner.h"

#include <algorithm>

namespace banyan::worker {
namespace {

// Temperatures between greedy and this act as this: below it logits / temperature leave float32.
constexpr float kTemperatureMin = 0.01f;

}  // namespace

SamplePlan PlanDraw(const SamplingParams& params, const StopRules& rules,
                    const TokenHistory& history, const DrawSite& site) {
  SamplePlan plan;
  plan.new_token = site.new_token;
  plan.adjustments = history.adjustments();
  plan.allowed = params.allowed_token_ids;
  const std::span<const TokenId> banned = rules.Banned(site.num_output);
  plan.banned.assign(banned.begin(), banned.end());
  kernels::SamplingRow& row = plan.row;
  row.temperature =
      params.temperature == 0.0f ? 0.0f : std::max(params.temperature, kTemperatureMin);
  row.top_k = params.top_k;
  row.top_p = params.top_p;
  row.min_p = params.min_p;
  row.repetition_penalty = params.repetition_penalty;
  row.presence_penalty = params.presence_penalty;
  row.frequency_penalty = params.frequency_penalty;
  row.seed = params.seed;
  row.sample_index = site.sample_index;
  row.position = site.position;
  row.num_logprobs = params.num_logprobs.value_or(-1);
  return plan;
}

SamplePlan PlanPromptLogprob(const SamplingParams& params, int32_t new_token, TokenId forced) {
  SamplePlan plan;
  plan.new_token = new_token;
  plan.row.temperature = 0;
  plan.row.num_logprobs = params.num_prompt_logprobs.value_or(-1);
  plan.row.forced = forced;
  return plan;
}

void AppendLogprobs(const kernels::SampledToken& sampled, int32_t num_top, TokenLogprobs& table) {
  table.num_top = num_top;
  table.tokens.push_back(sampled.token);
  table.logprobs.push_back(sampled.logprob);
  // A vocabulary smaller than num_top gives fewer alternatives; the last one then repeats.
  for (int32_t i = 0; i < num_top; ++i) {
    const int32_t from = std::clamp(i, 0, std::max(sampled.num_top - 1, 0));
    table.top_tokens.push_back(sampled.top_tokens[from]);
    table.top_logprobs.push_back(sampled.top_logprobs[from]);
  }
}

size_t LogprobsSizeBytes(size_t num_tokens, int32_t num_top) {
  return num_tokens * (1 + static_cast<size_t>(num_top)) * (sizeof(TokenId) + sizeof(float));
}

}  // namespace banyan::worker
