#include "common/text/chat_context.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/status_macros.h"
#include "common/text/jinja/interpreter.h"
#include "common/text/jinja/json_values.h"
#include "common/text/jinja/unicode.h"

namespace banyan {
namespace {

using jinja::Arena;
using jinja::DictBuilder;
using jinja::Error;
using jinja::Interpreter;
using jinja::Origin;
using jinja::SequenceBuilder;
using jinja::String;
using jinja::TextBuilder;
using jinja::Value;

// Appended to the last message to find where its text ends. The blank at the end tells whether the
// template trims.
constexpr std::string_view kContinueMark = "CONTINUE_FINAL_MESSAGE_TAG ";

// Text of the caller, shared and not copied: the input outlives the rendering.
Value UserText(Arena& arena, std::string_view text) {
  return Value::Str(arena.New<String>(text.data(), text.size(), Origin::kUser));
}

// Some templates build control tokens from roles ('<|' + role + '|>'): the known ones count as the
// template's own text, any other as a user's.
Value RoleText(Arena& arena, std::string_view role) {
  static constexpr std::string_view kRoles[] = {"system",    "user",  "assistant", "tool",
                                                "developer", "model", "function",  "ipython"};
  const bool known = std::find(std::begin(kRoles), std::end(kRoles), role) != std::end(kRoles);
  return Value::Str(
      arena.New<String>(role.data(), role.size(), known ? Origin::kTemplate : Origin::kUser));
}

absl::Status At(std::string_view field, const absl::Status& status) {
  return Error("%s: %s", field, std::string(status.message()));
}

// Appends the mark to a text, or to the last text part of a list of parts.
absl::StatusOr<Value> WithMark(Arena& arena, const Value& content) {
  const String* mark = jinja::NewString(arena, kContinueMark, Origin::kTemplate);
  if (content.is_string()) return Value::Str(jinja::Concat(arena, *content.string, *mark));
  if (content.is_sequence()) {
    SequenceBuilder parts(arena);
    size_t last_text = content.sequence->size;
    for (size_t i = 0; i < content.sequence->size; ++i) {
      const Value& part = content.sequence->items[i];
      const Value* text = part.is_dict() ? part.dict->Find("text") : nullptr;
      if (text != nullptr && text->is_string()) last_text = i;
    }
    if (last_text == content.sequence->size) {
      return Error("continue_final_message: the last message has no text");
    }
    for (size_t i = 0; i < content.sequence->size; ++i) {
      Value part = content.sequence->items[i];
      if (i == last_text) {
        DictBuilder marked(arena);
        for (size_t k = 0; k < part.dict->size; ++k) {
          const jinja::DictEntry& entry = part.dict->entries[k];
          const bool is_text = entry.key.is_string() && entry.key.text() == "text";
          BANYAN_RETURN_IF_ERROR(marked.Set(
              entry.key, is_text ? Value::Str(jinja::Concat(arena, *entry.value.string, *mark))
                                 : entry.value));
        }
        BANYAN_ASSIGN_OR_RETURN(part, marked.Finish());
      }
      parts.Append(part);
    }
    return parts.Finish();
  }
  return Error("continue_final_message: the last message has no text");
}

// Cuts the rendered text at the mark; white space before it goes too if the template trimmed the
// message (Hugging Face transformers, `apply_chat_template`, continue_final_message).
absl::Status CutAtMark(std::string* text) {
  const std::string_view trimmed_mark = kContinueMark.substr(0, kContinueMark.size() - 1);
  const size_t at = text->rfind(trimmed_mark);
  if (at == std::string::npos) {
    return Error("continue_final_message: the template does not show the last message as it is");
  }
  const bool trims = std::string_view(*text).substr(at, kContinueMark.size()) != kContinueMark;
  text->resize(at);
  while (trims && !text->empty()) {
    const size_t last = jinja::PreviousCharacter(*text, text->size());
    if (!jinja::IsPythonSpace(jinja::DecodeAt(*text, last).value)) break;
    text->resize(last);
  }
  return absl::OkStatus();
}

absl::StatusOr<RenderedChat> Run(Interpreter& interpreter, const RenderLimits& limits,
                                 bool continues) {
  TextBuilder out(interpreter.arena(), limits.max_output_bytes);
  BANYAN_RETURN_IF_ERROR(interpreter.Run(&out));
  RenderedChat chat{out.TakeText(), out.TakeSpans()};
  if (continues) {
    BANYAN_RETURN_IF_ERROR(CutAtMark(&chat.text));
    while (!chat.user_spans.empty() && chat.user_spans.back().begin >= chat.text.size()) {
      chat.user_spans.pop_back();
    }
    if (!chat.user_spans.empty()) {
      chat.user_spans.back().end = std::min(chat.user_spans.back().end, chat.text.size());
    }
  }
  return chat;
}

void SetCommonVariables(Interpreter& interpreter, const ChatEnvironment& environment,
                        bool add_generation_prompt) {
  Arena& arena = interpreter.arena();
  interpreter.SetVariable("bos_token", jinja::TemplateString(arena, environment.bos_token));
  interpreter.SetVariable("eos_token", jinja::TemplateString(arena, environment.eos_token));
  interpreter.SetVariable("documents", Value::None());
  interpreter.SetVariable("add_generation_prompt", Value::Bool(add_generation_prompt));
}

// Further variables come from clients: they may not replace what the server itself says.
absl::Status SetFurtherVariable(Interpreter& interpreter, std::string_view name,
                                const Value& value) {
  static constexpr std::string_view kReserved[] = {
      "messages",  "tools",        "bos_token",       "eos_token", "add_generation_prompt",
      "namespace", "strftime_now", "raise_exception", "range",     "continue_final_message",
      "dict",      "cycler",       "joiner",          "lipsum"};
  if (std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved)) {
    return Error("variable '%s': the name is reserved", name);
  }
  interpreter.SetVariable(name, value);
  return absl::OkStatus();
}

// The conversation of a request as template values.
class MessageBuilder {
 public:
  MessageBuilder(Arena& arena, ToolCallStyle style) : arena_(arena), style_(style) {}

  absl::StatusOr<Value> Messages(const ChatInput& input) {
    SequenceBuilder messages(arena_);
    for (size_t i = 0; i < input.messages.size(); ++i) {
      const bool is_marked = input.continue_final_message && i + 1 == input.messages.size();
      BANYAN_ASSIGN_OR_RETURN(const Value message, Message(input.messages[i], i, is_marked));
      messages.Append(message);
    }
    return messages.Finish();
  }

  // None if there are no tools: the variable is always defined.
  absl::StatusOr<Value> Tools(const ChatInput& input) {
    if (input.tools_json.empty()) return Value::None();
    SequenceBuilder tools(arena_);
    for (size_t i = 0; i < input.tools_json.size(); ++i) {
      absl::StatusOr<Value> tool = jinja::ParseJson(arena_, input.tools_json[i], Origin::kUser);
      if (!tool.ok()) return At(absl::StrFormat("tools[%d]", i), tool.status());
      if (!tool->is_dict()) return Error("tools[%d]: must be a JSON object", i);
      tools.Append(*tool);
    }
    return tools.Finish();
  }

 private:
  absl::StatusOr<Value> Message(const ChatMessage& message, size_t number, bool is_marked) {
    DictBuilder dict(arena_);
    dict.Append("role", RoleText(arena_, message.role));
    Value content = UserText(arena_, message.content ? *message.content : std::string_view());
    if (style_.none_content && !message.tool_calls.empty() && content.string->size == 0) {
      content = Value::None();
    }
    if (is_marked) {
      BANYAN_ASSIGN_OR_RETURN(content, WithMark(arena_, content));
    }
    dict.Append("content", content);
    if (!message.reasoning.empty()) {
      // Templates know it by either name.
      const Value reasoning = UserText(arena_, message.reasoning);
      dict.Append("reasoning_content", reasoning);
      dict.Append("thinking", reasoning);
    }
    if (!message.tool_calls.empty()) {
      SequenceBuilder calls(arena_);
      for (size_t i = 0; i < message.tool_calls.size(); ++i) {
        BANYAN_ASSIGN_OR_RETURN(const Value call, ToolCall(message.tool_calls[i], number, i));
        calls.Append(call);
      }
      BANYAN_ASSIGN_OR_RETURN(const Value list, calls.Finish());
      dict.Append("tool_calls", list);
    }
    if (!message.tool_call_id.empty()) {
      dict.Append("tool_call_id", UserText(arena_, message.tool_call_id));
    }
    if (!message.name.empty()) dict.Append("name", UserText(arena_, message.name));
    return dict.Finish();
  }

  absl::StatusOr<Value> ToolCall(const ChatToolCall& call, size_t message, size_t number) {
    DictBuilder function(arena_);
    function.Append("name", UserText(arena_, call.name));
    absl::StatusOr<Value> arguments = DictBuilder(arena_).Finish();
    if (style_.string_arguments) {
      const std::string_view json = call.arguments_json;
      arguments = UserText(arena_, json.empty() ? std::string_view("{}") : json);
    } else if (!call.arguments_json.empty()) {
      arguments = jinja::ParseJson(arena_, call.arguments_json, Origin::kUser);
    }
    if (!arguments.ok()) {
      return At(absl::StrFormat("messages[%d].tool_calls[%d].arguments", message, number),
                arguments.status());
    }
    function.Append("arguments", *arguments);
    BANYAN_ASSIGN_OR_RETURN(const Value function_value, function.Finish());
    DictBuilder dict(arena_);
    if (!call.id.empty()) dict.Append("id", UserText(arena_, call.id));
    dict.Append("type", jinja::TemplateString(arena_, "function"));
    dict.Append("function", function_value);
    return dict.Finish();
  }

  Arena& arena_;
  const ToolCallStyle style_;
};

// A message of plain JSON with what transformers adds: each of the names for reasoning, and the
// role's standing as template text.
absl::StatusOr<Value> PreparedMessage(Arena& arena, const Value& message, bool is_marked) {
  if (!message.is_dict()) return Error("messages: each must be an object");
  const jinja::Dict& source = *message.dict;
  DictBuilder dict(arena);
  for (size_t i = 0; i < source.size; ++i) {
    Value value = source.entries[i].value;
    const std::string_view key = source.entries[i].key.text();
    if (key == "role" && value.is_string()) value = RoleText(arena, value.text());
    if (key == "content" && is_marked) {
      BANYAN_ASSIGN_OR_RETURN(value, WithMark(arena, value));
    }
    BANYAN_RETURN_IF_ERROR(dict.Set(source.entries[i].key, value));
  }
  const Value* content = source.Find("reasoning_content");
  const Value* thinking = source.Find("thinking");
  if (thinking == nullptr && content != nullptr) dict.Append("thinking", *content);
  if (content == nullptr) {
    const Value* alias = thinking != nullptr ? thinking : source.Find("reasoning");
    if (alias != nullptr) dict.Append("reasoning_content", *alias);
  }
  return dict.Finish();
}

// A conversation with one call of a tool, and what of it must show.
constexpr std::string_view kProbeValue = "probe_value";
constexpr std::string_view kProbeRepr = "'probe_value'";  // Python's, where JSON was meant

ChatInput ProbeConversation() {
  ChatInput probe;
  probe.tools_json = {
      R"({"type": "function", "function": {"name": "probe", "description": "d", "parameters":)"
      R"( {"type": "object", "properties": {"probe_argument": {"type": "string", "description": "d"}}}}})"};
  probe.messages.resize(3);
  probe.messages[0].role = "user";
  probe.messages[0].content = "a";
  probe.messages[1].role = "assistant";
  // Nine letters or digits: some templates insist.
  probe.messages[1].tool_calls = {{"probe0001", "probe", R"({"probe_argument": "probe_value"})"}};
  probe.messages[2].role = "tool";
  probe.messages[2].name = "probe";
  probe.messages[2].tool_call_id = "probe0001";
  probe.messages[2].content = "b";
  return probe;
}

}  // namespace

ToolCallStyle DetectToolCallStyle(const jinja::Template& tree, const ChatEnvironment& environment) {
  const ChatInput probe = ProbeConversation();
  const RenderLimits limits{.max_steps = 100'000, .max_memory_bytes = 8u << 20};
  std::optional<ToolCallStyle> as_repr;
  for (const bool string_arguments : {false, true}) {
    for (const bool none_content : {false, true}) {
      ChatEnvironment tried = environment;
      tried.tool_calls = {string_arguments, none_content};
      const absl::StatusOr<RenderedChat> chat = RenderChat(tree, probe, limits, tried);
      if (!chat.ok() || chat->text.find(kProbeValue) == std::string::npos) continue;
      if (chat->text.find(kProbeRepr) == std::string::npos) return tried.tool_calls;
      if (!as_repr) as_repr = tried.tool_calls;
    }
  }
  return as_repr.value_or(ToolCallStyle{});
}

absl::StatusOr<RenderedChat> RenderChat(const jinja::Template& tree, const ChatInput& input,
                                        const RenderLimits& limits,
                                        const ChatEnvironment& environment) {
  if (input.messages.empty()) return Error("messages: must not be empty");
  Interpreter interpreter(tree, limits, environment.now);
  Arena& arena = interpreter.arena();
  SetCommonVariables(interpreter, environment,
                     input.add_generation_prompt && !input.continue_final_message);
  MessageBuilder builder(arena, environment.tool_calls);
  BANYAN_ASSIGN_OR_RETURN(const Value messages, builder.Messages(input));
  BANYAN_ASSIGN_OR_RETURN(const Value tools, builder.Tools(input));
  interpreter.SetVariable("messages", messages);
  interpreter.SetVariable("tools", tools);
  for (const auto& [name, json] : input.variables_json) {
    absl::StatusOr<Value> value = jinja::ParseJson(arena, json, Origin::kUser);
    if (!value.ok()) return At(absl::StrFormat("variable '%s'", name), value.status());
    BANYAN_RETURN_IF_ERROR(SetFurtherVariable(interpreter, name, *value));
  }
  return Run(interpreter, limits, input.continue_final_message);
}

absl::StatusOr<RenderedChat> RenderChat(const jinja::Template& tree, const ChatJson& input,
                                        const RenderLimits& limits,
                                        const ChatEnvironment& environment) {
  Interpreter interpreter(tree, limits, environment.now);
  Arena& arena = interpreter.arena();
  SetCommonVariables(interpreter, environment, input.add_generation_prompt);
  BANYAN_ASSIGN_OR_RETURN(const Value messages,
                          jinja::ParseJson(arena, input.messages, Origin::kUser));
  BANYAN_ASSIGN_OR_RETURN(const Value tools, jinja::ParseJson(arena, input.tools, Origin::kUser));
  BANYAN_ASSIGN_OR_RETURN(const Value variables,
                          jinja::ParseJson(arena, input.variables, Origin::kUser));
  if (!messages.is_sequence()) return Error("messages: must be a list");
  if (!variables.is_dict()) return Error("variables: must be an object");
  SequenceBuilder prepared(arena);
  for (size_t i = 0; i < messages.sequence->size; ++i) {
    const bool is_marked = input.continue_final_message && i + 1 == messages.sequence->size;
    BANYAN_ASSIGN_OR_RETURN(const Value message,
                            PreparedMessage(arena, messages.sequence->items[i], is_marked));
    prepared.Append(message);
  }
  BANYAN_ASSIGN_OR_RETURN(const Value list, prepared.Finish());
  interpreter.SetVariable("messages", list);
  interpreter.SetVariable("tools", tools);
  for (size_t i = 0; i < variables.dict->size; ++i) {
    const jinja::DictEntry& entry = variables.dict->entries[i];
    BANYAN_RETURN_IF_ERROR(SetFurtherVariable(interpreter, entry.key.text(), entry.value));
  }
  return Run(interpreter, limits, input.continue_final_message);
}

}  // namespace banyan
