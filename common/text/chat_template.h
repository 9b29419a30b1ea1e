// Renders conversations with the model's own Jinja template, in a sandbox: no I/O, bounded steps,
// depth and output. Immutable and thread-safe after Parse.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/text/tokenizer.h"

namespace banyan {

struct ChatToolCall {
  std::string id;
  std::string name;
  std::string arguments_json;
};

struct ChatMessage {
  std::string role;
  std::optional<std::string> content;  // absent: templates see "", as most fail on null
  std::string reasoning;               // templates see it as reasoning_content and as thinking
  std::vector<ChatToolCall> tool_calls;
  std::string tool_call_id;
  std::string name;
};

struct ChatInput {
  std::vector<ChatMessage> messages;
  // JSON texts in the OpenAI form {"type": "function", "function": {...}}; empty: none.
  std::vector<std::string> tools_json;
  bool add_generation_prompt = true;
  // The text ends where the last message ends, so that the model goes on with it. No generation
  // prompt is added then.
  bool continue_final_message = false;
  // Further variables, value as JSON text (chat_template_kwargs, for instance enable_thinking).
  // Names that the server or Jinja defines (messages, tools, bos_token, ...) are refused.
  std::vector<std::pair<std::string, std::string>> variables_json;
};

struct RenderLimits {
  int64_t max_steps = 2'000'000;  // expressions, statements, and 64 bytes looked at by a function
  int32_t max_depth = 128;        // nested calls; 16 times that of nested expressions and blocks
  size_t max_output_bytes = 8u << 20;
  size_t max_memory_bytes = 64u << 20;  // of all values made, alive or not
};

struct RenderedChat {
  std::string text;
  // Bytes that came from messages, tools and variables (ascending, disjoint): Tokenizer::Encode
  // takes them as `plain`. Numbers, true and null count as the template's; so do the known roles,
  // from which some templates build control tokens.
  std::vector<TextSpan> user_spans;
};

class ChatTemplate {
 public:
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  // INVALID_ARGUMENT with line and what was expected. `bos_token` and `eos_token` are the variables
  // of that name.
  static absl::StatusOr<ChatTemplate> Parse(std::string_view source, std::string bos_token,
                                            std::string eos_token);

  // INVALID_ARGUMENT with the template's own message (raise_exception), or what went wrong and in
  // which line; also where a limit is exceeded.
  absl::StatusOr<RenderedChat> Render(const ChatInput& input,
                                      const RenderLimits& limits = {}) const;

 private:
  struct Program;
  explicit ChatTemplate(std::unique_ptr<const Program> program);
  std::unique_ptr<const Program> program_;
};

}  // namespace banyan
