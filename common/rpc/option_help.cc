// The text of --help, 80 columns: usage, sections, each option with default, range and variable.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "common/rpc/option_table.h"

namespace banyan::rpc {
namespace {

constexpr size_t kColumns = 80;
constexpr size_t kIndent = 6;

// Words of `text`, wrapped and indented.
std::string Wrap(const std::string& text, size_t indent) {
  std::string out;
  std::string line;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    at = end + 1;
    if (word.empty()) continue;
    if (!line.empty() && indent + line.size() + 1 + word.size() > kColumns) {
      out += std::string(indent, ' ') + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  if (!line.empty()) out += std::string(indent, ' ') + line + "\n";
  return out;
}

std::string Details(const OptionInfo& option) {
  std::string text = option.help;
  if (!option.default_text.empty()) text += absl::StrFormat(" Default: %s.", option.default_text);
  if (option.repeated) text += " May be repeated.";
  if (!option.env.empty()) text += absl::StrFormat(" [%s]", option.env);
  return text;
}

}  // namespace

std::string OptionTable::Help() const {
  std::string out = Wrap(summary_, 0) + "\nUsage: " + program_;
  if (std::any_of(options_.begin(), options_.end(),
                  [](const OptionInfo& option) { return !option.positional; })) {
    out += " [FLAGS]";
  }
  for (const OptionInfo& option : options_) {
    if (option.positional) {
      out += option.required ? " " + option.name : " [" + option.name + "]";
    }
  }
  out += "\n";
  std::string section;
  for (const OptionInfo& option : options_) {
    if (option.section != section) {
      section = option.section;
      out += "\n" + section + ":\n";
    }
    const std::string dashes = option.positional ? "" : "--";
    out += "  " + dashes + option.name;
    if (!option.value_name.empty()) out += " " + option.value_name;
    out += "\n" + Wrap(Details(option), kIndent);
  }
  out +=
      "\n  -h, --help\n      Print this and exit.\n  --version\n      Print the version and "
      "exit.\n";
  out += "\nFlags win over environment variables (in brackets), these over defaults.\n";
  if (!examples_.empty()) out += "\nExamples:\n";
  for (const auto& [command, explanation] : examples_) {
    out += "  " + command + "\n" + Wrap(explanation, kIndent);
  }
  return out;
}

}  // namespace banyan::rpc
