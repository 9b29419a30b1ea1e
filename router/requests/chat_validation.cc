#include "router/requests/chat_validation.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "absl/strings/str_format.h"
#include "router/requests/request_validation.h"

namespace banyan::router {
namespace {

constexpr int kMessagesMax = 4096;
constexpr int kToolsMax = 128;
constexpr int kToolCallsMax = 128;
constexpr int kPartsMax = 4096;
constexpr size_t kNameBytesMax = 64;
constexpr size_t kToolDescriptionBytesMax = 16u << 10;
constexpr size_t kJsonBytesMax = 256u << 10;
constexpr int kTemplateArgsMax = 64;
constexpr size_t kTemplateArgsBytesMax = 64u << 10;
// The template's own variables, which a client may not replace.
constexpr std::array<std::string_view, 5> kReservedArgs = {"messages", "tools", "bos_token",
                                                           "eos_token", "add_generation_prompt"};

bool IsFunctionName(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

void CheckFunctionName(const std::string& field, std::string_view name, rpc::FieldChecks& checks) {
  if (IsFunctionName(name)) return;
  checks.Fail(field, absl::StrFormat("want 1 to %d characters of [A-Za-z0-9_-], got %s",
                                     kNameBytesMax, rpc::QuoteValue(name)));
}

// Adds the message's bytes to `bytes`.
void CheckMessage(const std::string& field, const v1::ChatMessage& message, size_t& bytes,
                  rpc::FieldChecks& checks) {
  if (message.role() == v1::CHAT_ROLE_UNSPECIFIED || !v1::ChatRole_IsValid(message.role())) {
    checks.Fail(field + ".role",
                absl::StrFormat("want SYSTEM, DEVELOPER, USER, ASSISTANT or TOOL, got %d",
                                int{message.role()}));
  }
  const bool assistant = message.role() == v1::CHAT_ROLE_ASSISTANT;
  if (message.content().empty() && !(assistant && message.tool_calls_size() > 0)) {
    checks.Fail(field + ".content", "empty, want at least 1 part");
  }
  checks.CountInRange(field + ".content", message.content_size(), 0, kPartsMax, "parts");
  for (int i = 0; i < message.content_size(); ++i) {
    if (message.content(i).kind_case() == v1::ContentPart::KIND_NOT_SET) {
      checks.Fail(absl::StrFormat("%s.content[%d]", field, i), "not set, want text");
    }
    bytes += message.content(i).text().size();
  }
  bytes += message.reasoning().size();
  if (message.tool_calls_size() > 0 && !assistant) {
    checks.Fail(field + ".tool_calls", "only an assistant message makes calls");
  }
  checks.CountInRange(field + ".tool_calls", message.tool_calls_size(), 0, kToolCallsMax, "calls");
  for (int i = 0; i < message.tool_calls_size(); ++i) {
    const v1::ToolCall& call = message.tool_calls(i);
    const std::string path = absl::StrFormat("%s.tool_calls[%d]", field, i);
    CheckFunctionName(path + ".name", call.name(), checks);
    checks.BytesAtMost(path + ".id", call.id(), kNameBytesMax);
    checks.BytesAtMost(path + ".arguments_json", call.arguments_json(), kJsonBytesMax);
    bytes += call.arguments_json().size();
  }
  checks.BytesAtMost(field + ".name", message.name(), kNameBytesMax);
  checks.BytesAtMost(field + ".tool_call_id", message.tool_call_id(), kNameBytesMax);
}

void CheckTools(const std::string& field, const v1::ChatPrompt& chat, rpc::FieldChecks& checks) {
  if (!checks.CountInRange(field + ".tools", chat.tools_size(), 0, kToolsMax, "tools")) return;
  std::set<std::string_view> names;
  for (int i = 0; i < chat.tools_size(); ++i) {
    const v1::Tool& tool = chat.tools(i);
    const std::string path = absl::StrFormat("%s.tools[%d]", field, i);
    CheckFunctionName(path + ".name", tool.name(), checks);
    if (!names.insert(tool.name()).second) {
      checks.Fail(path + ".name", "twice in the list: " + rpc::QuoteValue(tool.name()));
    }
    checks.BytesAtMost(path + ".description", tool.description(), kToolDescriptionBytesMax);
    checks.BytesAtMost(path + ".parameters_json_schema", tool.parameters_json_schema(),
                       kJsonBytesMax);
  }
  const v1::ToolChoice& choice = chat.tool_choice();
  if (!v1::ToolChoiceMode_IsValid(choice.mode())) {
    checks.Fail(field + ".tool_choice.mode",
                absl::StrFormat("unknown value %d", int{choice.mode()}));
  } else if (choice.mode() == v1::TOOL_CHOICE_MODE_NAMED && !names.contains(choice.name())) {
    checks.Fail(field + ".tool_choice.name",
                "not one of the tools: " + rpc::QuoteValue(choice.name()));
  } else if (choice.mode() == v1::TOOL_CHOICE_MODE_REQUIRED && names.empty()) {
    checks.Fail(field + ".tool_choice.mode", "REQUIRED without tools");
  }
}

}  // namespace

void ValidateChat(const std::string& field, const v1::ChatPrompt& chat, rpc::FieldChecks& checks) {
  if (!checks.CountInRange(field + ".messages", chat.messages_size(), 1, kMessagesMax,
                           "messages")) {
    return;
  }
  size_t bytes = 0;
  for (int i = 0; i < chat.messages_size(); ++i) {
    CheckMessage(absl::StrFormat("%s.messages[%d]", field, i), chat.messages(i), bytes, checks);
  }
  if (bytes > kPromptBytesMax) {
    checks.Fail(field + ".messages",
                absl::StrFormat("too long, limit %d bytes, got %d", kPromptBytesMax, bytes));
  }
  CheckTools(field, chat, checks);
  const auto& args = chat.template_args().fields();
  checks.CountInRange(field + ".template_args", static_cast<int>(args.size()), 0, kTemplateArgsMax,
                      "keys");
  const size_t args_bytes = chat.template_args().ByteSizeLong();
  if (args_bytes > kTemplateArgsBytesMax) {
    checks.Fail(field + ".template_args", absl::StrFormat("too long, limit %d bytes, got %d",
                                                          kTemplateArgsBytesMax, args_bytes));
  }
  for (const std::string_view name : kReservedArgs) {
    if (args.contains(std::string(name))) {
      checks.Fail(absl::StrFormat("%s.template_args.%s", field, name),
                  "is the template's own variable");
    }
  }
  if (chat.continue_final_message() &&
      chat.messages().rbegin()->role() != v1::CHAT_ROLE_ASSISTANT) {
    checks.Fail(field + ".continue_final_message", "the last message is not the assistant's");
  }
}

}  // namespace banyan::router
