// Microseconds of thread CPU time to render a chat of 60 messages, per golden template.
// usage: chat_template_bench [NAME ...]   (BANYAN_SOURCE_DIR or the current directory: the tree)
#include <simdjson.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "common/text/chat_template.h"
#include "tests/testing/paths.h"

namespace banyan {
namespace {

double ThreadMicroseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

ChatInput SixtyMessages() {
  ChatInput input;
  for (int i = 0; i < 30; ++i) {
    for (const char* role : {"user", "assistant"}) {
      ChatMessage message;
      message.role = role;
      message.content = std::string(400, 'x') + "\n" + std::string(400, 'y');
      input.messages.push_back(std::move(message));
    }
  }
  input.messages.pop_back();
  return input;
}

void Measure(const std::string& name) {
  simdjson::dom::parser parser;
  const simdjson::dom::element golden =
      parser.load((testing::GoldenDir() / "chat_templates" / (name + ".json")).string()).value();
  const std::string_view source = golden["template"].get_string().value();
  const auto chat_template = ChatTemplate::Parse(source, "<s>", "</s>");
  if (!chat_template.ok()) {
    std::printf("%-28s %s\n", name.c_str(), std::string(chat_template.status().message()).c_str());
    return;
  }
  const ChatInput input = SixtyMessages();
  constexpr int kRuns = 200;
  std::vector<double> micros;
  size_t bytes = 0;
  for (int i = 0; i < kRuns; ++i) {
    const double begin = ThreadMicroseconds();
    const auto chat = chat_template->Render(input);
    micros.push_back(ThreadMicroseconds() - begin);
    bytes = chat.ok() ? chat->text.size() : 0;
  }
  std::sort(micros.begin(), micros.end());
  std::printf("%-28s %8.1f us (median of %d), %zu bytes\n", name.c_str(), micros[kRuns / 2], kRuns,
              bytes);
}

}  // namespace
}  // namespace banyan

int main(int argc, char** argv) {
  std::vector<std::string> names(argv + 1, argv + argc);
  if (names.empty()) names = {"smollm2", "llama3_1", "qwen3", "gpt_oss", "mistral_small_3_2"};
  for (const std::string& name : names) banyan::Measure(name);
  return 0;
}
