#include "worker/service/request_conversion.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/log.h"
#include "common/rpc/errors.h"
#include "common/rpc/field_checks.h"
#include "common/rpc/request_limits.h"

namespace banyan::worker {
namespace {

using rpc::Error;
using rpc::ErrorReason;
using rpc::QuoteValue;

constexpr float kTemperatureMin = 0.01f;
constexpr size_t kSaltBytes = 16;

template <typename T>
void SortUnique(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

// Checks the ids, and appends them to `out` where all are the model's.
template <typename Ids>
bool AppendTokens(const std::string& field, const Ids& ids, int32_t vocabulary_size,
                  rpc::FieldChecks& checks, std::vector<TokenId>& out) {
  if (!checks.Tokens(field, ids, vocabulary_size)) return false;
  out.insert(out.end(), ids.begin(), ids.end());
  return true;
}

// Absent: the model's own default, else `fallback`.
template <typename T, typename U>
T Resolve(bool present, T value, const std::optional<U>& model_default, T fallback) {
  if (present) return value;
  return model_default.has_value() ? static_cast<T>(*model_default) : fallback;
}

void ConvertIdentity(const v1::GenerateTokensRequest& wire, Request& request,
                     rpc::FieldChecks& checks) {
  checks.RequestId("request_id", wire.request_id());
  request.id = wire.request_id();
  switch (wire.priority()) {
    case v1::PRIORITY_REALTIME:
      request.priority = Priority::kRealtime;
      break;
    case v1::PRIORITY_INTERACTIVE:
      request.priority = Priority::kInteractive;
      break;
    case v1::PRIORITY_BATCH:
      request.priority = Priority::kBatch;
      break;
    default:
      checks.Fail("priority",
                  absl::StrFormat("must be set, want REALTIME, INTERACTIVE or BATCH, got %d",
                                  static_cast<int>(wire.priority())));
  }
  if (wire.cache_salt().size() != kSaltBytes) {
    checks.Fail("cache_salt", absl::StrFormat("want %d bytes, got %d bytes", kSaltBytes,
                                              wire.cache_salt().size()));
  } else {
    request.cache_salt = BlockHash::FromBytes(wire.cache_salt());
  }
  if (wire.waited_us() > kWaitedUsMax) {
    checks.Fail("waited_us", absl::StrFormat("out of range, want [0, %d], got %d", kWaitedUsMax,
                                             wire.waited_us()));
  } else {
    request.waited = std::chrono::microseconds(wire.waited_us());
  }
  if (checks.InRange("max_queue_ms", int64_t{wire.max_queue_ms()}, 0, rpc::kQueueMsMax) &&
      wire.max_queue_ms() > 0) {
    request.max_queue = std::chrono::milliseconds(wire.max_queue_ms());
  }
}

void ConvertPrompt(const v1::GenerateTokensRequest& wire, const ConversionLimits& limits,
                   Request& request, rpc::FieldChecks& checks) {
  if (wire.prompt_token_ids().empty()) {
    checks.Fail("prompt_token_ids",
                absl::StrFormat("empty, want 1 to %d tokens", limits.context_length - 1));
  }
  AppendTokens("prompt_token_ids", wire.prompt_token_ids(), limits.vocabulary_size, checks,
               request.prompt);
}

// Everything that is one number.
void ConvertSamplingScalars(const v1::SamplingParams& wire, const ConversionLimits& limits,
                            SamplingParams& sampling, rpc::FieldChecks& checks) {
  const GenerationDefaults& defaults = limits.defaults;
  sampling.temperature =
      Resolve(wire.has_temperature(), wire.temperature(), defaults.temperature, 1.0f);
  if (checks.InRange("sampling.temperature", sampling.temperature, 0.0f, rpc::kTemperatureMax) &&
      sampling.temperature > 0) {
    sampling.temperature = std::max(sampling.temperature, kTemperatureMin);
  }
  sampling.top_p = Resolve(wire.has_top_p(), wire.top_p(), defaults.top_p, 1.0f);
  checks.InRangeAbove("sampling.top_p", sampling.top_p, 0.0f, 1.0f);
  const int64_t top_k =
      Resolve(wire.has_top_k(), int64_t{wire.top_k()}, defaults.top_k, int64_t{0});
  // A model's default may exceed the vocabulary of a pruned model; a client's value may not.
  if (!wire.has_top_k() || checks.InRange("sampling.top_k", top_k, 0, limits.vocabulary_size)) {
    sampling.top_k = static_cast<int32_t>(std::clamp<int64_t>(top_k, 0, limits.vocabulary_size));
  }
  sampling.min_p = Resolve(wire.has_min_p(), wire.min_p(), defaults.min_p, 0.0f);
  checks.InRange("sampling.min_p", sampling.min_p, 0.0f, 1.0f);
  sampling.presence_penalty = wire.presence_penalty();
  checks.InRange("sampling.presence_penalty", sampling.presence_penalty, -rpc::kPenaltyMax,
                 rpc::kPenaltyMax);
  sampling.frequency_penalty = wire.frequency_penalty();
  checks.InRange("sampling.frequency_penalty", sampling.frequency_penalty, -rpc::kPenaltyMax,
                 rpc::kPenaltyMax);
  sampling.repetition_penalty = Resolve(wire.has_repetition_penalty(), wire.repetition_penalty(),
                                        defaults.repetition_penalty, 1.0f);
  checks.InRangeAbove("sampling.repetition_penalty", sampling.repetition_penalty, 0.0f,
                      rpc::kRepetitionPenaltyMax);
  if (!wire.has_seed()) checks.Fail("sampling.seed", "must be set");
  sampling.seed = wire.seed();
  sampling.ignore_eos = wire.ignore_eos();
}

void ConvertSamplingLists(const v1::SamplingParams& wire, const ConversionLimits& limits,
                          SamplingParams& sampling, rpc::FieldChecks& checks) {
  if (checks.CountAtMost("sampling.logit_bias", static_cast<int64_t>(wire.logit_bias().size()),
                         rpc::kLogitBiasEntriesMax, "entries")) {
    for (const auto& [id, bias] : wire.logit_bias()) {
      const std::string field = absl::StrFormat("sampling.logit_bias[%u]", id);
      if (id >= static_cast<uint32_t>(limits.vocabulary_size)) {
        checks.Fail(field,
                    absl::StrFormat("no token of the model, want [0, %d)", limits.vocabulary_size));
      } else if (checks.InRange(field, bias, -rpc::kLogitBiasMax, rpc::kLogitBiasMax)) {
        sampling.logit_bias.emplace_back(static_cast<TokenId>(id), bias);
      }
    }
    std::sort(sampling.logit_bias.begin(), sampling.logit_bias.end());
  }
  if (checks.CountAtMost("sampling.allowed_token_ids", wire.allowed_token_ids_size(),
                         rpc::kAllowedTokensMax, "ids") &&
      AppendTokens("sampling.allowed_token_ids", wire.allowed_token_ids(), limits.vocabulary_size,
                   checks, sampling.allowed_token_ids)) {
    SortUnique(sampling.allowed_token_ids);
  }
  if (checks.CountAtMost("sampling.stop_token_ids", wire.stop_token_ids_size(), rpc::kStopTokensMax,
                         "ids") &&
      AppendTokens("sampling.stop_token_ids", wire.stop_token_ids(), limits.vocabulary_size, checks,
                   sampling.stop_token_ids)) {
    SortUnique(sampling.stop_token_ids);
  }
}

void ConvertSamplingCounts(const v1::SamplingParams& wire, const ConversionLimits& limits,
                           int64_t num_prompt, SamplingParams& sampling, rpc::FieldChecks& checks) {
  // With a prompt that does not fit, that is the error to report; its own check does.
  const int64_t room = std::max<int64_t>(limits.context_length - num_prompt, 1);
  const int64_t max_tokens = wire.has_max_tokens() ? int64_t{wire.max_tokens()} : room;
  if (checks.InRange("sampling.max_tokens", max_tokens, 1, room)) {
    sampling.max_tokens = static_cast<int32_t>(max_tokens);
    if (checks.InRange("sampling.min_tokens", int64_t{wire.min_tokens()}, 0, max_tokens)) {
      sampling.min_tokens = static_cast<int32_t>(wire.min_tokens());
    }
  }
  const int64_t num_samples = wire.num_samples() == 0 ? 1 : int64_t{wire.num_samples()};
  if (checks.InRange("sampling.num_samples", num_samples, 1, limits.num_samples_max)) {
    sampling.num_samples = static_cast<int32_t>(num_samples);
  }
  if (wire.has_num_logprobs() &&
      checks.InRange("sampling.num_logprobs", int64_t{wire.num_logprobs()}, 0, rpc::kLogprobsMax)) {
    sampling.num_logprobs = static_cast<int32_t>(wire.num_logprobs());
  }
  if (wire.has_num_prompt_logprobs() &&
      checks.InRange("sampling.num_prompt_logprobs", int64_t{wire.num_prompt_logprobs()}, 0,
                     rpc::kLogprobsMax)) {
    sampling.num_prompt_logprobs = static_cast<int32_t>(wire.num_prompt_logprobs());
  }
}

void ConvertResume(const v1::ResumeState& wire, const ConversionLimits& limits, Request& request,
                   rpc::FieldChecks& checks) {
  checks.InRange("resume.attempt", int64_t{wire.attempt()}, 1, kResumeAttemptMax);
  if (checks.InRange("resume.cached_tokens", int64_t{wire.cached_tokens()}, 0,
                     static_cast<int64_t>(request.prompt.size()))) {
    request.resumed_cached_tokens = static_cast<int32_t>(wire.cached_tokens());
  }
  if (wire.samples_size() != request.sampling.num_samples) {
    checks.Fail("resume.samples",
                absl::StrFormat("want one entry per sample (%d), got %d",
                                request.sampling.num_samples, wire.samples_size()));
    return;
  }
  bool any_unfinished = false;
  for (int i = 0; i < wire.samples_size(); ++i) {
    const v1::SampleProgress& sample = wire.samples(i);
    const std::string field = absl::StrFormat("resume.samples[%d].output_token_ids", i);
    // A sample that has all its tokens has finished.
    const int64_t most = request.sampling.max_tokens - (sample.finished() ? 0 : 1);
    SampleProgress progress;
    progress.finished = sample.finished();
    any_unfinished |= !sample.finished();
    if (checks.CountAtMost(field, sample.output_token_ids_size(), most, "tokens")) {
      AppendTokens(field, sample.output_token_ids(), limits.vocabulary_size, checks,
                   progress.output);
    }
    request.resume.push_back(std::move(progress));
  }
  if (!any_unfinished) checks.Fail("resume.samples", "all samples are finished already");
}

}  // namespace

GenerationDefaults UsableDefaults(const GenerationDefaults& defaults) {
  GenerationDefaults usable = defaults;
  const auto keep = [](const char* name, auto& value, double min, double max) {
    if (!value.has_value()) return;
    const auto number = static_cast<double>(*value);
    if (number >= min && number <= max) return;
    Log(LogSeverity::kWarning, "generation_default_dropped")
        .Field("field", name)
        .Field("value", number);
    value.reset();
  };
  constexpr double kAbove0 = 1e-6;
  keep("temperature", usable.temperature, 0, 10);
  keep("top_p", usable.top_p, kAbove0, 1);
  keep("top_k", usable.top_k, 0, 2147483647);
  keep("min_p", usable.min_p, 0, 1);
  keep("repetition_penalty", usable.repetition_penalty, kAbove0, 10);
  return usable;
}

absl::StatusOr<Request> ConvertRequest(const v1::GenerateTokensRequest& wire,
                                       const ConversionLimits& limits) {
  if (wire.model_fingerprint() != limits.model_fingerprint) {
    return Error(ErrorReason::kModelMismatch,
                 absl::StrFormat("model_fingerprint: this worker serves %s, got %s",
                                 limits.model_fingerprint, QuoteValue(wire.model_fingerprint())))
        .Metadata("model_fingerprint", limits.model_fingerprint)
        .ToStatus();
  }
  if (wire.has_constraint()) {
    return Error(ErrorReason::kConstraintsUnsupported,
                 "constraint: this worker serves no output constraints")
        .ToStatus();
  }
  const int64_t num_prompt = wire.prompt_token_ids_size();
  if (num_prompt >= limits.context_length) {
    const std::string why =
        absl::StrFormat("too long, limit %d tokens (context length %d less 1), got %d",
                        limits.context_length - 1, limits.context_length, num_prompt);
    return Error(ErrorReason::kContextLengthExceeded, "prompt_token_ids: " + why)
        .Violation("prompt_token_ids", why)
        .Metadata("context_length", std::to_string(limits.context_length))
        .Metadata("prompt_tokens", std::to_string(num_prompt))
        .ToStatus();
  }
  Request request;
  rpc::FieldChecks checks;
  ConvertIdentity(wire, request, checks);
  ConvertPrompt(wire, limits, request, checks);
  if (!wire.has_sampling()) {
    checks.Fail("sampling", "must be set");
  } else {
    ConvertSamplingScalars(wire.sampling(), limits, request.sampling, checks);
    ConvertSamplingLists(wire.sampling(), limits, request.sampling, checks);
    ConvertSamplingCounts(wire.sampling(), limits, num_prompt, request.sampling, checks);
    if (wire.has_resume()) ConvertResume(wire.resume(), limits, request, checks);
  }
  if (!checks.ok()) return checks.ToStatus();
  return request;
}

}  // namespace banyan::worker
