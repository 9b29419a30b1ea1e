#include "common/text/chat_template.h"

#include <ctime>

#include "common/base/status_macros.h"
#include "common/text/chat_context.h"
#include "common/text/jinja/ast.h"
#include "common/text/jinja/parser.h"

namespace banyan {

struct ChatTemplate::Program {
  std::unique_ptr<const jinja::Template> tree;
  std::string bos_token;
  std::string eos_token;
  ToolCallStyle tool_calls;

  ChatEnvironment Environment() const {
    ChatEnvironment environment{bos_token, eos_token, {}, tool_calls};
    const std::time_t now = std::time(nullptr);
    localtime_r(&now, &environment.now);
    return environment;
  }
};

ChatTemplate::ChatTemplate(std::unique_ptr<const Program> program) : program_(std::move(program)) {}
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

absl::StatusOr<ChatTemplate> ChatTemplate::Parse(std::string_view source, std::string bos_token,
                                                 std::string eos_token) {
  BANYAN_ASSIGN_OR_RETURN(std::unique_ptr<const jinja::Template> tree,
                          jinja::ParseTemplate(source));
  auto program = std::make_unique<Program>();
  program->tree = std::move(tree);
  program->bos_token = std::move(bos_token);
  program->eos_token = std::move(eos_token);
  program->tool_calls = DetectToolCallStyle(*program->tree, program->Environment());
  return ChatTemplate(std::move(program));
}

absl::StatusOr<RenderedChat> ChatTemplate::Render(const ChatInput& input,
                                                  const RenderLimits& limits) const {
  return RenderChat(*program_->tree, input, limits, program_->Environment());
}

}  // namespace banyan
