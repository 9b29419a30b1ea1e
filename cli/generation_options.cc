#include "cli/generation_options.h"

#include <limits>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"

namespace banyan::cli {
namespace {

constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();

absl::Status ParseReal(const std::string& text, const char* flag, std::optional<float>& value) {
  if (text.empty()) return absl::OkStatus();
  float parsed = 0;
  if (!absl::SimpleAtof(text, &parsed)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--%s: want a number, found \"%s\"", flag, text));
  }
  value = parsed;
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> ParseTokenId(std::string_view text, const char* flag) {
  uint32_t id = 0;
  if (!absl::SimpleAtoi(std::string(text), &id)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--%s: want a token id, found \"%s\"", flag, text));
  }
  return id;
}

absl::Status AddLogitBias(const std::string& text, v1::SamplingParams& sampling) {
  const size_t separator = text.find('=');
  float bias = 0;
  if (separator == std::string::npos || !absl::SimpleAtof(text.substr(separator + 1), &bias)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--logit-bias: want ID=BIAS, found \"%s\"", text));
  }
  BANYAN_ASSIGN_OR_RETURN(const uint32_t id, ParseTokenId(text.substr(0, separator), "logit-bias"));
  (*sampling.mutable_logit_bias())[id] = bias;
  return absl::OkStatus();
}

v1::Priority PriorityOf(const std::string& name) {
  if (name == "realtime") return v1::PRIORITY_REALTIME;
  return name == "batch" ? v1::PRIORITY_BATCH : v1::PRIORITY_INTERACTIVE;
}

}  // namespace

void ClientOptions::AddTo(rpc::OptionTable& table) {
  table.Section("Cluster");
  table.Text("address", "HOST:PORT", address, "The router.");
  table.Text("model", "NAME", model, "The model; may be left out where only one is served.");
  table.Integer("timeout-s", "SECONDS", {1, 3600}, timeout_s, "Give up after this long.");
}

void GenerationOptions::AddTo(rpc::OptionTable& table) {
  table.Section("Sampling");
  table.Integer("max-tokens", "N", {1, kInt32Max}, max_tokens,
                "Tokens to generate at most; default: all room that is left.");
  table.Text("temperature", "X", temperature, "0 is greedy; default: the model's own, else 1.");
  table.Text("top-p", "X", top_p, "Nucleus mass in (0, 1].");
  table.Integer("top-k", "N", {0, kInt32Max}, top_k, "Keep the N most likely tokens; 0: all.");
  table.Text("min-p", "X", min_p, "Drop tokens below X times the largest probability.");
  table.Integer("seed", "N", {}, seed, "Same seed, same text; default: drawn by the router.");
  table.Integer("samples", "N", {1, 16}, num_samples, "Independent continuations.");
  table.Text("presence-penalty", "X", presence_penalty,
             "Subtracted from tokens that were generated already.");
  table.Text("frequency-penalty", "X", frequency_penalty, "The same, once per occurrence.");
  table.Text("repetition-penalty", "X", repetition_penalty,
             "Divides what occurs in prompt or output; 1 is off.");
  table.List("logit-bias", "ID=BIAS", logit_bias, "Added to a token's logit; -100 bans it.");
  table.Integer("min-tokens", "N", {0, kInt32Max}, min_tokens,
                "Nothing stops before this many tokens.");
  table.List("stop-token-id", "ID", stop_token_ids, "End at this token; may be given 64 times.");
  table.List("stop", "TEXT", stop, "End at this text; may be given 16 times.");
  table.Switch("ignore-eos", ignore_eos, "Go on past the model's own end tokens.");
  table.Switch("include-stop", include_stop, "Keep the matched stop text or token in the output.");
  table.Switch("keep-special-tokens", keep_special_tokens, "Show special tokens in the output.");
  table.Section("Request");
  table.Integer("truncate-prompt-tokens", "N", {1, kInt32Max}, truncate_prompt_tokens,
                "Keep only the last N tokens of the prompt.");
  table.Choice("priority", {"realtime", "interactive", "batch"}, priority, "Scheduling class.");
  table.Text("session-id", "ID", session_id, "Calls of one conversation or agent share it.");
  table.Section("Output");
  table.Integer("logprobs", "K", {0, 20}, num_logprobs,
                "With --json: log-probabilities of each token and its K most likely alternatives.");
  table.Switch(
      "json", json,
      "One JSON object when done: text, tokens, log-probabilities, usage, timings, worker.");
}

absl::Status GenerationOptions::ApplyReals(v1::SamplingParams& sampling) const {
  std::optional<float> value;
  BANYAN_RETURN_IF_ERROR(ParseReal(temperature, "temperature", value));
  if (value) sampling.set_temperature(*std::exchange(value, std::nullopt));
  BANYAN_RETURN_IF_ERROR(ParseReal(top_p, "top-p", value));
  if (value) sampling.set_top_p(*std::exchange(value, std::nullopt));
  BANYAN_RETURN_IF_ERROR(ParseReal(min_p, "min-p", value));
  if (value) sampling.set_min_p(*std::exchange(value, std::nullopt));
  BANYAN_RETURN_IF_ERROR(ParseReal(presence_penalty, "presence-penalty", value));
  if (value) sampling.set_presence_penalty(*std::exchange(value, std::nullopt));
  BANYAN_RETURN_IF_ERROR(ParseReal(frequency_penalty, "frequency-penalty", value));
  if (value) sampling.set_frequency_penalty(*std::exchange(value, std::nullopt));
  BANYAN_RETURN_IF_ERROR(ParseReal(repetition_penalty, "repetition-penalty", value));
  if (value) sampling.set_repetition_penalty(*value);
  return absl::OkStatus();
}

absl::Status GenerationOptions::Apply(v1::GenerateRequest& request) const {
  v1::SamplingParams& sampling = *request.mutable_sampling();
  BANYAN_RETURN_IF_ERROR(ApplyReals(sampling));
  for (const std::string& text : logit_bias) BANYAN_RETURN_IF_ERROR(AddLogitBias(text, sampling));
  for (const std::string& text : stop_token_ids) {
    BANYAN_ASSIGN_OR_RETURN(const uint32_t id, ParseTokenId(text, "stop-token-id"));
    sampling.add_stop_token_ids(id);
  }
  if (min_tokens) sampling.set_min_tokens(static_cast<uint32_t>(*min_tokens));
  if (num_prompt_logprobs) {
    sampling.set_num_prompt_logprobs(static_cast<uint32_t>(*num_prompt_logprobs));
  }
  if (truncate_prompt_tokens) {
    request.set_truncate_prompt_tokens(static_cast<uint32_t>(*truncate_prompt_tokens));
  }
  request.set_include_stop(include_stop);
  request.set_keep_special_tokens(keep_special_tokens);
  if (max_tokens) sampling.set_max_tokens(static_cast<uint32_t>(*max_tokens));
  if (top_k) sampling.set_top_k(static_cast<uint32_t>(*top_k));
  if (seed) sampling.set_seed(static_cast<uint64_t>(*seed));
  if (num_samples) sampling.set_num_samples(static_cast<uint32_t>(*num_samples));
  if (num_logprobs) sampling.set_num_logprobs(static_cast<uint32_t>(*num_logprobs));
  sampling.set_ignore_eos(ignore_eos);
  for (const std::string& text : stop) request.add_stop(text);
  request.set_priority(PriorityOf(priority));
  request.set_session_id(session_id);
  request.set_return_token_ids(json);
  request.set_explain(json);
  return absl::OkStatus();
}

}  // namespace banyan::cli
