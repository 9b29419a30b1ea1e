#include "cli/generation_options.h"

#include <limits>
#include <utility>

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
  table.List("stop", "TEXT", stop, "End at this text; may be given 16 times.");
  table.Switch("ignore-eos", ignore_eos, "Go on past the model's own end tokens.");
  table.Section("Request");
  table.Choice("priority", {"realtime", "interactive", "batch"}, priority, "Scheduling class.");
  table.Text("session-id", "ID", session_id, "Calls of one conversation or agent share it.");
  table.Section("Output");
  table.Integer("logprobs", "K", {0, 20}, num_logprobs,
                "With --json: log-probabilities of each token and its K most likely alternatives.");
  table.Switch(
      "json", json,
      "One JSON object when done: text, tokens, log-probabilities, usage, timings, worker.");
}

absl::Status GenerationOptions::Apply(v1::GenerateRequest& request) const {
  v1::SamplingParams& sampling = *request.mutable_sampling();
  std::optional<float> value;
  BANYAN_RETURN_IF_ERROR(ParseReal(temperature, "temperature", value));
  if (value) sampling.set_temperature(*std::exchange(value, std::nullopt));
  BANYAN_RETURN_IF_ERROR(ParseReal(top_p, "top-p", value));
  if (value) sampling.set_top_p(*std::exchange(value, std::nullopt));
  BANYAN_RETURN_IF_ERROR(ParseReal(min_p, "min-p", value));
  if (value) sampling.set_min_p(*value);
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
