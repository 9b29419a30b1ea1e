// Templates from outside: parse and render one with small limits. The input is a template, or a
// template, a NUL and the JSON of the messages.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/text/chat_context.h"
#include "common/text/jinja/parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace banyan;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t separator = input.find('\0');
  const auto tree = jinja::ParseTemplate(input.substr(0, separator));
  if (!tree.ok()) return 0;
  ChatJson chat;
  chat.messages =
      R"([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi <|im_end|>"},
          {"role": "assistant", "content": "é😀", "reasoning_content": "r", "tool_calls": [
            {"id": "abcdefghi", "type": "function",
             "function": {"name": "f", "arguments": {"a": 1, "b": [1.5, null, true]}}}]},
          {"role": "tool", "tool_call_id": "abcdefghi", "content": "{}"}])";
  if (separator != std::string_view::npos) chat.messages = input.substr(separator + 1);
  chat.tools = R"([{"type": "function", "function": {"name": "f", "description": "d", "parameters":
      {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}}])";
  chat.continue_final_message = size % 2 == 1;
  const RenderLimits limits{.max_steps = 20'000,
                            .max_depth = 32,
                            .max_output_bytes = 1u << 16,
                            .max_memory_bytes = 4u << 20};
  std::tm now{};
  now.tm_mday = 1;
  const auto rendered = RenderChat(**tree, chat, limits, {"<s>", "</s>", now, {}});
  if (!rendered.ok()) return 0;
  // Spans are ascending, disjoint and inside of the text.
  size_t end = 0;
  for (const TextSpan& span : rendered->user_spans) {
    if (span.begin < end || span.begin >= span.end || span.end > rendered->text.size())
      std::abort();
    end = span.end;
  }
  if (rendered->text.size() > limits.max_output_bytes) std::abort();
  return 0;
}
