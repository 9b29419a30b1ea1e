// Turns a request's sampling parameters and a sample's past into rows of a step plan. Pure
// functions; what the fields mean is in proto/banyan/v1/sampling.proto and kernels/ops.h.
#pragma once

#include <cstdint>

#include "worker/request/request.h"
#include "worker/request/step_plan.h"
#include "worker/sampling/stop_rules.h"
#include "worker/sampling/token_history.h"

namespace banyan::worker {

// Where a token is drawn.
struct DrawSite {
  int32_t new_token = 0;  // index into SequencePlan::new_tokens
  uint32_t sample_index = 0;
  uint64_t position = 0;   // of the drawn token in the sequence: a resumed request draws the same
  int32_t num_output = 0;  // outputs before it
};

// A row that draws the next token of a sample.
SamplePlan PlanDraw(const SamplingParams& params, const StopRules& rules,
                    const TokenHistory& history, const DrawSite& site);

// A row that draws nothing and reports the log-probability of `forced`, the prompt's next token.
SamplePlan PlanPromptLogprob(const SamplingParams& params, int32_t new_token, TokenId forced);

// Appends one row of a table from what the executor returned.
void AppendLogprobs(const kernels::SampledToken& sampled, int32_t num_top, TokenLogprobs& table);

// Bytes of a table of `num_tokens` rows with `num_top` alternatives each.
size_t LogprobsSizeBytes(size_t num_tokens, int32_t num_top);

}  // namespace banyan::worker
