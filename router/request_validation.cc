#include "router/request_validation.h"

#include <array>
#include <string_view>

#include "absl/strings/str_format.h"
#include "common/rpc/errors.h"
#include "common/rpc/request_id.h"
#include "router/chat_validation.h"
#include "router/field_checks.h"

namespace banyan::router {
namespace {

using rpc::Error;
using rpc::ErrorReason;
using rpc::QuoteValue;

constexpr float kTemperatureMax = 10;
constexpr float kPenaltyMax = 2;
constexpr float kRepetitionPenaltyMax = 10;
constexpr float kLogitBiasMax = 100;
constexpr int kLogitBiasEntriesMax = 1024;
constexpr int kAllowedTokensMax = 4096;
constexpr int kStopTokensMax = 64;
constexpr int kStopStringsMax = 16;
constexpr size_t kStopBytesMax = 256;
constexpr int kSamplesMax = 16;
constexpr int kLogprobsMax = 20;
constexpr size_t kHintBytesMax = 128;
constexpr int kQueueMsMax = 3'600'000;
constexpr int kStreamIntervalMax = 256;

absl::Status Result(const FieldChecks& checks) {
  if (checks.ok()) return absl::OkStatus();
  return rpc::InvalidFields(ErrorReason::kInvalidField, checks.violations()).ToStatus();
}

// Stops at the first bad id: one is enough, and 10^7 of them are quickly done.
template <typename Ids>
void CheckTokens(const std::string& field, const Ids& ids, uint32_t vocabulary_size,
                 FieldChecks& checks) {
  for (int i = 0; i < ids.size(); ++i) {
    if (ids.Get(i) < vocabulary_size) continue;
    checks.Fail(
        absl::StrFormat("%s[%d]", field, i),
        absl::StrFormat("not a token id, want [0, %d), got %d", vocabulary_size, ids.Get(i)));
    return;
  }
}

void CheckPrompt(const v1::GenerateRequest& request, const ModelLimits& limits,
                 FieldChecks& checks) {
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
      CheckTokens("token_ids.ids", request.token_ids().ids(), limits.vocabulary_size, checks);
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
                        FieldChecks& checks) {
  if (sampling.has_temperature()) {
    checks.InRange("sampling.temperature", sampling.temperature(), 0.0f, kTemperatureMax);
  }
  if (sampling.has_top_p() && !(sampling.top_p() > 0 && sampling.top_p() <= 1)) {
    checks.Fail("sampling.top_p",
                absl::StrFormat("out of range, want (0, 1], got %g", sampling.top_p()));
  }
  if (sampling.has_top_k()) {
    checks.InRange("sampling.top_k", int64_t{sampling.top_k()}, 0, limits.vocabulary_size);
  }
  if (sampling.has_min_p()) checks.InRange("sampling.min_p", sampling.min_p(), 0.0f, 1.0f);
  checks.InRange("sampling.presence_penalty", sampling.presence_penalty(), -kPenaltyMax,
                 kPenaltyMax);
  checks.InRange("sampling.frequency_penalty", sampling.frequency_penalty(), -kPenaltyMax,
                 kPenaltyMax);
  if (sampling.has_repetition_penalty() &&
      !(sampling.repetition_penalty() > 0 &&
        sampling.repetition_penalty() <= kRepetitionPenaltyMax)) {
    checks.Fail("sampling.repetition_penalty",
                absl::StrFormat("out of range, want (0, %g], got %g", kRepetitionPenaltyMax,
                                sampling.repetition_penalty()));
  }
}

void CheckSamplingTokens(const v1::SamplingParams& sampling, const ModelLimits& limits,
                         FieldChecks& checks) {
  if (checks.CountInRange("sampling.logit_bias", static_cast<int>(sampling.logit_bias().size()), 0,
                          kLogitBiasEntriesMax, "entries")) {
    for (const auto& [id, bias] : sampling.logit_bias()) {
      const std::string field = absl::StrFormat("sampling.logit_bias[%d]", id);
      if (id >= limits.vocabulary_size) {
        checks.Fail(field, absl::StrFormat("not a token id, want [0, %d)", limits.vocabulary_size));
      }
      checks.InRange(field, bias, -kLogitBiasMax, kLogitBiasMax);
    }
  }
  if (checks.CountInRange("sampling.allowed_token_ids", sampling.allowed_token_ids_size(), 0,
                          kAllowedTokensMax, "ids")) {
    CheckTokens("sampling.allowed_token_ids", sampling.allowed_token_ids(), limits.vocabulary_size,
                checks);
  }
  if (checks.CountInRange("sampling.stop_token_ids", sampling.stop_token_ids_size(), 0,
                          kStopTokensMax, "ids")) {
    CheckTokens("sampling.stop_token_ids", sampling.stop_token_ids(), limits.vocabulary_size,
                checks);
  }
}

void CheckSamplingCounts(const v1::SamplingParams& sampling, const ModelLimits& limits,
                         FieldChecks& checks) {
  if (sampling.has_max_tokens()) {
    checks.InRange("sampling.max_tokens", int64_t{sampling.max_tokens()}, 1,
                   int64_t{limits.context_length} - 1);
  }
  const int64_t min_tokens_max =
      sampling.has_max_tokens() ? sampling.max_tokens() : limits.context_length;
  checks.InRange("sampling.min_tokens", int64_t{sampling.min_tokens()}, 0, min_tokens_max);
  checks.InRange("sampling.num_samples", int64_t{sampling.num_samples()}, 0, kSamplesMax);
  if (sampling.has_num_logprobs()) {
    checks.InRange("sampling.num_logprobs", int64_t{sampling.num_logprobs()}, 0, kLogprobsMax);
  }
  if (sampling.has_num_prompt_logprobs()) {
    checks.InRange("sampling.num_prompt_logprobs", int64_t{sampling.num_prompt_logprobs()}, 0,
                   kLogprobsMax);
  }
}

void CheckStops(const v1::GenerateRequest& request, FieldChecks& checks) {
  if (!checks.CountInRange("stop", request.stop_size(), 0, kStopStringsMax, "strings")) return;
  for (int i = 0; i < request.stop_size(); ++i) {
    const std::string field = absl::StrFormat("stop[%d]", i);
    if (request.stop(i).empty()) checks.Fail(field, "empty, want 1 to 256 bytes");
    checks.BytesAtMost(field, request.stop(i), kStopBytesMax);
  }
}

void CheckHandling(const v1::GenerateRequest& request, FieldChecks& checks) {
  if (!v1::Priority_IsValid(request.priority())) {
    checks.Fail("priority", absl::StrFormat("unknown value %d", int{request.priority()}));
  }
  checks.InRange("max_queue_ms", int64_t{request.max_queue_ms()}, 0, kQueueMsMax);
  checks.BytesAtMost("session_id", request.session_id(), kHintBytesMax);
  checks.BytesAtMost("cache_salt", request.cache_salt(), kHintBytesMax);
  checks.InRange("stream_interval_tokens", int64_t{request.stream_interval_tokens()}, 0,
                 kStreamIntervalMax);
}

}  // namespace

absl::Status ValidateEnvelope(const v1::GenerateRequest& request) {
  FieldChecks checks;
  if (!request.request_id().empty() && !rpc::IsValidRequestId(request.request_id())) {
    checks.Fail("request_id",
                absl::StrFormat("want 1 to %d characters of [A-Za-z0-9._:-], got %s",
                                rpc::kRequestIdBytesMax, QuoteValue(request.request_id())));
  }
  checks.BytesAtMost("model", request.model(), kModelNameBytesMax);
  return Result(checks);
}

absl::Status ValidateGenerate(const v1::GenerateRequest& request, const ModelLimits& limits) {
  FieldChecks checks;
  CheckPrompt(request, limits, checks);
  CheckSamplingShape(request.sampling(), limits, checks);
  CheckSamplingTokens(request.sampling(), limits, checks);
  CheckSamplingCounts(request.sampling(), limits, checks);
  CheckStops(request, checks);
  CheckHandling(request, checks);
  if (!checks.ok()) return Result(checks);
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
  FieldChecks checks;
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
  return Result(checks);
}

absl::Status ValidateDetokenize(const v1::DetokenizeRequest& request, const ModelLimits& limits) {
  FieldChecks checks;
  checks.BytesAtMost("model", request.model(), kModelNameBytesMax);
  if (checks.CountInRange("token_ids", request.token_ids_size(), 0, kDetokenizeTokensMax, "ids")) {
    CheckTokens("token_ids", request.token_ids(), limits.vocabulary_size, checks);
  }
  return Result(checks);
}

}  // namespace banyan::router
