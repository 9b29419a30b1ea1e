#include "router/requests/request_validation.h"

#include <array>
#include <string_view>

#include "absl/strings/str_format.h"
#include "common/rpc/errors.h"
#include "common/rpc/field_checks.h"
#include "common/rpc/request_limits.h"
#include "router/requests/chat_validation.h"

namespace banyan::router {
namespace {

using rpc::Error;
using rpc::ErrorReason;
using rpc::QuoteValue;

constexpr int kStopStringsMax = 16;
constexpr size_t kStopBytesMax = 256;
constexpr size_t kHintBytesMax = 128;
constexpr int kStreamIntervalMax = 256;

void CheckPrompt(const v1::GenerateRequest& request, const ModelLimits& limits,
                 rpc::FieldChecks& checks) {
  const int tokens_max = static_cast<int>(limits.context_length) - 1;
  switch (request.prompt_case()) {
    case v1::GenerateRequest::kText:
      if (request.text().empty()) checks.Fail("text", "empty, want at least 1 byte");
      checks.BytesAtMost("text", request.text(), kPromptBytesMax);
      break;
    case v1::GenerateRequest::kTokenIds:
      if (request.token_ids().ids().empty()) {
        checks.Fail("token_ids.ids", absl::StrFormat("empty, want 1 to %d tokens", tokens_max));
      }
      checks.Tokens("token_ids.ids", request.token_ids().ids(), limits.vocabulary_size);
      break;
    case v1::GenerateRequest::kChat:
      ValidateChat("chat", request.chat(), checks);
      break;
    case v1::GenerateRequest::PROMPT_NOT_SET:
      checks.Fail("prompt", "not set, want one of text, token_ids, chat");
  }
  if (request.has_truncate_prompt_tokens()) {
    checks.InRange("truncate_prompt_tokens", int64_t{request.truncate_prompt_tokens()}, 1,
                   tokens_max);
  }
}

void CheckSamplingShape(const v1::SamplingParams& sampling, const ModelLimits& limits,
                        rpc::FieldChecks& checks) {
  if (sampling.has_temperature()) {
    checks.InRange("sampling.temperature", sampling.temperature(), 0.0f, rpc::kTemperatureMax);
  }
  if (sampling.has_top_p()) {
    checks.InRangeAbove("sampling.top_p", sampling.top_p(), 0.0f, 1.0f);
  }
  if (sampling.has_top_k()) {
    checks.InRange("sampling.top_k", int64_t{sampling.top_k()}, 0, limits.vocabulary_size);
  }
  if (sampling.has_min_p()) checks.InRange("sampling.min_p", sampling.min_p(), 0.0f, 1.0f);
  checks.InRange("sampling.presence_penalty", sampling.presence_penalty(), -rpc::kPenaltyMax,
                 rpc::kPenaltyMax);
  checks.InRange("sampling.frequency_penalty", sampling.frequency_penalty(), -rpc::kPenaltyMax,
                 rpc::kPenaltyMax);
  if (sampling.has_repetition_penalty()) {
    checks.InRangeAbove("sampling.repetition_penalty", sampling.repetition_penalty(), 0.0f,
                        rpc::kRepetitionPenaltyMax);
  }
}

void CheckSamplingTokens(const v1::SamplingParams& sampling, const ModelLimits& limits,
                         rpc::FieldChecks& checks) {
  if (checks.CountAtMost("sampling.logit_bias", static_cast<int>(sampling.logit_bias().size()),
                         rpc::kLogitBiasEntriesMax, "entries")) {
    for (const auto& [id, bias] : sampling.logit_bias()) {
      const std::string field = absl::StrFormat("sampling.logit_bias[%d]", id);
      if (id >= limits.vocabulary_size) {
        checks.Fail(field,
                    absl::StrFormat("no token of the model, want [0, %d)", limits.vocabulary_size));
      }
      checks.InRange(field, bias, -rpc::kLogitBiasMax, rpc::kLogitBiasMax);
    }
  }
  if (checks.CountAtMost("sampling.allowed_token_ids", sampling.allowed_token_ids_size(),
                         rpc::kAllowedTokensMax, "ids")) {
    checks.Tokens("sampling.allowed_token_ids", sampling.allowed_token_ids(),
                  limits.vocabulary_size);
  }
  if (checks.CountAtMost("sampling.stop_token_ids", sampling.stop_token_ids_size(),
                         rpc::kStopTokensMax, "ids")) {
    checks.Tokens("sampling.stop_token_ids", sampling.stop_token_ids(), limits.vocabulary_size);
  }
}

void CheckSamplingCounts(const v1::SamplingParams& sampling, const ModelLimits& limits,
                         rpc::FieldChecks& checks) {
  if (sampling.has_max_tokens()) {
    checks.InRange("sampling.max_tokens", int64_t{sampling.max_tokens()}, 1,
                   int64_t{limits.context_length} - 1);
  }
  const int64_t min_tokens_max =
      sampling.has_max_tokens() ? sampling.max_tokens() : limits.context_length;
  checks.InRange("sampling.min_tokens", int64_t{sampling.min_tokens()}, 0, min_tokens_max);
  checks.InRange("sampling.num_samples", int64_t{sampling.num_samples()}, 0, rpc::kSamplesMax);
  if (sampling.has_num_logprobs()) {
    checks.InRange("sampling.num_logprobs", int64_t{sampling.num_logprobs()}, 0, rpc::kLogprobsMax);
  }
  if (sampling.has_num_prompt_logprobs()) {
    checks.InRange("sampling.num_prompt_logprobs", int64_t{sampling.num_prompt_logprobs()}, 0,
                   rpc::kLogprobsMax);
  }
}

void CheckStops(const v1::GenerateRequest& request, rpc::FieldChecks& checks) {
  if (!checks.CountAtMost("stop", request.stop_size(), kStopStringsMax, "strings")) return;
  for (int i = 0; i < request.stop_size(); ++i) {
    const std::string field = absl::StrFormat("stop[%d]", i);
    if (request.stop(i).empty()) checks.Fail(field, "empty, want 1 to 256 bytes");
    checks.BytesAtMost(field, request.stop(i), kStopBytesMax);
  }
}

void CheckHandling(const v1::GenerateRequest& request, rpc::FieldChecks& checks) {
  if (!v1::Priority_IsValid(request.priority())) {
    checks.Fail("priority", absl::StrFormat("unknown value %d", int{request.priority()}));
  }
  checks.InRange("max_queue_ms", int64_t{request.max_queue_ms()}, 0, rpc::kQueueMsMax);
  checks.BytesAtMost("session_id", request.session_id(), kHintBytesMax);
  checks.BytesAtMost("cache_salt", request.cache_salt(), kHintBytesMax);
  checks.InRange("stream_interval_tokens", int64_t{request.stream_interval_tokens()}, 0,
                 kStreamIntervalMax);
}

}  // namespace

absl::Status ValidateEnvelope(const v1::GenerateRequest& request) {
  rpc::FieldChecks checks;
  if (!request.request_id().empty()) checks.RequestId("request_id", request.request_id());
  checks.BytesAtMost("model", request.model(), kModelNameBytesMax);
  return checks.ToStatus();
}

absl::Status ValidateGenerate(const v1::GenerateRequest& request, const ModelLimits& limits) {
  rpc::FieldChecks checks;
  CheckPrompt(request, limits, checks);
  CheckSamplingShape(request.sampling(), limits, checks);
  CheckSamplingTokens(request.sampling(), limits, checks);
  CheckSamplingCounts(request.sampling(), limits, checks);
  CheckStops(request, checks);
  CheckHandling(request, checks);
  if (!checks.ok()) return checks.ToStatus();
  if (request.has_constraint()) {
    return Error(ErrorReason::kConstraintsUnsupported,
                 "constraint: this build does not constrain output")
        .ToStatus();
  }
  if (request.chat().tools_size() > 0) {
    return Error(ErrorReason::kConstraintsUnsupported,
                 "chat.tools: this build does not parse tool calls")
        .ToStatus();
  }
  return absl::OkStatus();
}

absl::Status ValidateTokenize(const v1::TokenizeRequest& request) {
  rpc::FieldChecks checks;
  checks.BytesAtMost("model", request.model(), kModelNameBytesMax);
  switch (request.prompt_case()) {
    case v1::TokenizeRequest::kText:
      checks.BytesAtMost("text", request.text(), kPromptBytesMax);
      break;
    case v1::TokenizeRequest::kChat:
      ValidateChat("chat", request.chat(), checks);
      break;
    case v1::TokenizeRequest::PROMPT_NOT_SET:
      checks.Fail("prompt", "not set, want one of text, chat");
  }
  return checks.ToStatus();
}

absl::Status ValidateDetokenize(const v1::DetokenizeRequest& request, const ModelLimits& limits) {
  rpc::FieldChecks checks;
  checks.BytesAtMost("model", request.model(), kModelNameBytesMax);
  if (checks.CountAtMost("token_ids", request.token_ids_size(), kDetokenizeTokensMax, "ids")) {
    checks.Tokens("token_ids", request.token_ids(), limits.vocabulary_size);
  }
  return checks.ToStatus();
}

}  // namespace banyan::router
