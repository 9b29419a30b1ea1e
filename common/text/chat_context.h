// Conversations to the variables that chat templates expect, prepared as Hugging Face transformers
// and the servers built on it do. Internal to common/text; tests use it to render from plain JSON.
#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/text/chat_template.h"
#include "common/text/jinja/ast.h"

namespace banyan {

// A conversation as JSON, given to the template as it is: null contents and lists of parts stay.
struct ChatJson {
  std::string messages;          // a list
  std::string tools = "null";    // null or a list
  std::string variables = "{}";  // an object of further variables
  bool add_generation_prompt = true;
  bool continue_final_message = false;
};

// How a template wants calls of tools in past messages. Most take arguments as objects and a text
// beside them; some concatenate strings, and some show calls only if the content is none.
struct ToolCallStyle {
  bool string_arguments = false;
  bool none_content = false;
};

struct ChatEnvironment {
  std::string_view bos_token;
  std::string_view eos_token;
  std::tm now{};  // what strftime_now shows
  ToolCallStyle tool_calls;
};

// The first style with which the template shows the arguments of a call; the default if it shows
// none at all. Renders a short conversation up to four times.
ToolCallStyle DetectToolCallStyle(const jinja::Template& tree, const ChatEnvironment& environment);

absl::StatusOr<RenderedChat> RenderChat(const jinja::Template& tree, const ChatInput& input,
                                        const RenderLimits& limits,
                                        const ChatEnvironment& environment);

absl::StatusOr<RenderedChat> RenderChat(const jinja::Template& tree, const ChatJson& input,
                                        const RenderLimits& limits,
                                        const ChatEnvironment& environment);

}  // namespace banyan
