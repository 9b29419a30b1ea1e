#include "router/requests/request_preparation.h"

#include <google/protobuf/util/json_util.h>

#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/rpc/digest.h"
#include "common/rpc/errors.h"
#include "common/rpc/field_checks.h"
#include "common/rpc/request_id.h"

namespace banyan::router {
namespace {

using rpc::Error;
using rpc::ErrorReason;

const char* RoleName(v1::ChatRole role) {
  switch (role) {
    case v1::CHAT_ROLE_USER:
      return "user";
    case v1::CHAT_ROLE_ASSISTANT:
      return "assistant";
    case v1::CHAT_ROLE_TOOL:
      return "tool";
    default:
      // Templates that know a developer's role are rare, and every one knows the system's.
      return "system";
  }
}

ChatMessage ConvertMessage(const v1::ChatMessage& wire) {
  ChatMessage message;
  message.role = RoleName(wire.role());
  if (wire.content_size() > 0) {
    message.content.emplace();
    for (const v1::ContentPart& part : wire.content()) message.content->append(part.text());
  }
  message.reasoning = wire.reasoning();
  for (const v1::ToolCall& call : wire.tool_calls()) {
    message.tool_calls.push_back({call.id(), call.name(), call.arguments_json()});
  }
  message.tool_call_id = wire.tool_call_id();
  message.name = wire.name();
  return message;
}

absl::StatusOr<ChatInput> ConvertChat(const v1::ChatPrompt& chat) {
  ChatInput input;
  for (const v1::ChatMessage& message : chat.messages()) {
    input.messages.push_back(ConvertMessage(message));
  }
  input.continue_final_message = chat.continue_final_message();
  input.add_generation_prompt = !chat.continue_final_message();
  for (const auto& [name, value] : chat.template_args().fields()) {
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(value, &json).ok()) {
      return rpc::InvalidField("chat.template_args." + name, "cannot be written as JSON");
    }
    input.variables_json.emplace_back(name, std::move(json));
  }
  return input;
}

absl::Status TooLong(size_t prompt_tokens, uint32_t max_tokens, uint32_t context_length) {
  const std::string message =
      max_tokens == 0
          ? absl::StrFormat("prompt: %d tokens, and the context holds %d", prompt_tokens,
                            context_length)
          : absl::StrFormat(
                "prompt: %d tokens and sampling.max_tokens %d, and the context holds %d",
                prompt_tokens, max_tokens, context_length);
  return Error(ErrorReason::kContextLengthExceeded, message)
      .Metadata("prompt_tokens", std::to_string(prompt_tokens))
      .Metadata("context_length", std::to_string(context_length))
      .ToStatus();
}

absl::StatusOr<TokenizedPrompt> TokenizePrompt(const v1::GenerateRequest& request,
                                               const TextModel& model) {
  if (request.has_text()) {
    return TokenizeText(model, request.text(), request.omit_special_tokens());
  }
  if (request.has_chat()) return TokenizeChat(model, request.chat());
  TokenizedPrompt prompt;
  prompt.tokens.assign(request.token_ids().ids().begin(), request.token_ids().ids().end());
  if (request.return_prompt_text()) {
    prompt.text = model.tokenizer->Decode(prompt.tokens, SpecialTokensInOutput::kKeep);
  }
  return prompt;
}

// Absent values become the model's own defaults; the seed is drawn where the client sent none.
void ResolveSampling(const GenerationDefaults& defaults, uint32_t room,
                     v1::SamplingParams& sampling) {
  if (!sampling.has_temperature()) sampling.set_temperature(defaults.temperature.value_or(1));
  if (!sampling.has_top_p()) sampling.set_top_p(defaults.top_p.value_or(1));
  if (!sampling.has_top_k()) {
    sampling.set_top_k(static_cast<uint32_t>(std::max(0, defaults.top_k.value_or(0))));
  }
  if (!sampling.has_min_p()) sampling.set_min_p(defaults.min_p.value_or(0));
  if (!sampling.has_repetition_penalty()) {
    sampling.set_repetition_penalty(defaults.repetition_penalty.value_or(1));
  }
  if (!sampling.has_max_tokens()) sampling.set_max_tokens(room);
  if (!sampling.has_seed()) sampling.set_seed(rpc::NewRandomId());
  if (sampling.num_samples() == 0) sampling.set_num_samples(1);
}

OutputOptions OutputOf(const v1::GenerateRequest& request, const v1::SamplingParams& sampling) {
  OutputOptions output;
  output.num_samples = sampling.num_samples();
  output.special =
      request.keep_special_tokens() ? SpecialTokensInOutput::kKeep : SpecialTokensInOutput::kDrop;
  output.stop_in_output = request.include_stop() ? StopInOutput::kKeep : StopInOutput::kDrop;
  output.stops.assign(request.stop().begin(), request.stop().end());
  output.stop_token_ids.insert(sampling.stop_token_ids().begin(), sampling.stop_token_ids().end());
  output.min_tokens = sampling.min_tokens();
  output.return_token_ids = request.return_token_ids();
  output.logprobs = sampling.has_num_logprobs();
  return output;
}

BlockHash SaltOf(const v1::GenerateRequest& request, const PreparationModel& model) {
  if (model.cluster_secret.empty() && request.cache_salt().empty()) return {};
  return rpc::DeriveCacheSalt(model.cluster_secret, "", model.fingerprint, request.cache_salt());
}

}  // namespace

absl::StatusOr<TokenizedPrompt> TokenizeText(const TextModel& model, const std::string& text,
                                             bool omit_special_tokens) {
  // Special tokens that are spelled in a client's text are text.
  const TextSpan all{0, text.size()};
  auto tokens = model.tokenizer->Encode(
      text, omit_special_tokens ? AddSpecialTokens::kNo : AddSpecialTokens::kYes,
      std::span(&all, 1));
  if (!tokens.ok()) return rpc::WithReason(tokens.status(), ErrorReason::kInvalidField);
  return TokenizedPrompt{*std::move(tokens), text};
}

absl::StatusOr<TokenizedPrompt> TokenizeChat(const TextModel& model, const v1::ChatPrompt& chat) {
  if (!model.chat_template.has_value()) {
    return Error(ErrorReason::kChatTemplateFailed,
                 "chat: the model has no chat template; send text or token_ids")
        .ToStatus();
  }
  BANYAN_ASSIGN_OR_RETURN(const ChatInput input, ConvertChat(chat));
  auto rendered = model.chat_template->Render(input);
  if (!rendered.ok()) {
    return Error(ErrorReason::kChatTemplateFailed,
                 "chat: " + std::string(rendered.status().message()))
        .ToStatus();
  }
  auto tokens =
      model.tokenizer->Encode(rendered->text, AddSpecialTokens::kNo, rendered->user_spans);
  if (!tokens.ok()) return rpc::WithReason(tokens.status(), ErrorReason::kInvalidField);
  return TokenizedPrompt{*std::move(tokens), std::move(rendered->text)};
}

absl::StatusOr<PreparedRequest> Prepare(const v1::GenerateRequest& request,
                                        const PreparationModel& model) {
  BANYAN_ASSIGN_OR_RETURN(TokenizedPrompt prompt, TokenizePrompt(request, model.text));
  std::vector<TokenId>& tokens = prompt.tokens;
  if (request.has_truncate_prompt_tokens() && tokens.size() > request.truncate_prompt_tokens()) {
    tokens.erase(tokens.begin(), tokens.end() - request.truncate_prompt_tokens());
  }
  if (tokens.empty()) {
    return rpc::InvalidField("prompt", "is empty after tokenization");
  }
  const uint32_t context_length = model.limits.context_length;
  if (tokens.size() >= context_length) return TooLong(tokens.size(), 0, context_length);
  const auto room = context_length - static_cast<uint32_t>(tokens.size());
  if (request.sampling().max_tokens() > room) {
    return TooLong(tokens.size(), request.sampling().max_tokens(), context_length);
  }

  PreparedRequest prepared;
  v1::GenerateTokensRequest& worker_request = prepared.worker_request;
  worker_request.set_request_id(request.request_id());
  worker_request.mutable_prompt_token_ids()->Assign(tokens.begin(), tokens.end());
  *worker_request.mutable_sampling() = request.sampling();
  ResolveSampling(model.text.generation_defaults, room, *worker_request.mutable_sampling());
  worker_request.set_priority(request.priority() == v1::PRIORITY_UNSPECIFIED
                                  ? v1::PRIORITY_INTERACTIVE
                                  : request.priority());
  worker_request.set_max_queue_ms(request.max_queue_ms());
  const BlockHash salt = SaltOf(request, model);
  worker_request.set_cache_salt(salt.ToBytes());
  prepared.output = OutputOf(request, worker_request.sampling());
  // With prompt log-probs the whole prompt is computed, whatever a cache holds.
  if (model.hashes_known && !request.sampling().has_num_prompt_logprobs()) {
    prepared.blocks = HashBlocks(salt, tokens, static_cast<int>(model.block_size));
  }
  if (request.return_prompt_text()) prepared.prompt_text = std::move(prompt.text);
  if (!request.session_id().empty()) {
    prepared.session_hash = std::hash<std::string>{}(request.session_id()) | 1;
  }
  return prepared;
}

}  // namespace banyan::router
