#include "common/text/jinja/format_braces.h"

#include <algorithm>

#include "common/base/status_macros.h"
#include "common/text/jinja/format_spec.h"
#include "common/text/jinja/python_text.h"
#include "common/text/jinja/unicode.h"

namespace banyan::jinja {
namespace {

constexpr std::string_view kAligns = "<>=^";

bool IsAlign(char c) { return kAligns.find(c) != std::string_view::npos; }

absl::StatusOr<FormatSpec> ParseSpec(std::string_view text) {
  FormatSpec spec;
  spec.is_empty = text.empty();
  size_t at = 0;
  const auto peek = [&](size_t i) { return i < text.size() ? text[i] : '\0'; };
  const size_t fill_size = text.empty() ? 0 : DecodeAt(text, 0).size;
  if (fill_size > 0 && fill_size < text.size() && IsAlign(text[fill_size])) {
    spec.fill = std::string(text.substr(0, fill_size));
    spec.align = text[fill_size];
    at = fill_size + 1;
  } else if (!text.empty() && IsAlign(text[0])) {
    spec.align = text[0];
    at = 1;
  }
  if (peek(at) == '+' || peek(at) == '-' || peek(at) == ' ') spec.sign = text[at++];
  if (peek(at) == '#') {
    spec.alternate = true;
    ++at;
  }
  if (peek(at) == '0') {
    if (spec.align == 0) {
      spec.align = '=';
      spec.fill.assign(1, '0');
    }
    ++at;
  }
  spec.width = ReadCount(text, &at).value_or(0);
  if (peek(at) == ',' || peek(at) == '_') spec.grouping = text[at++];
  if (peek(at) == '.') {
    ++at;
    spec.precision = ReadCount(text, &at);
    if (!spec.precision) return Error("format specifier missing precision");
  }
  if (at < text.size()) spec.type = text[at++];
  if (at != text.size()) return Error("invalid format specifier '%s'", text);
  return spec;
}

class BraceFormatter {
 public:
  BraceFormatter(Interpreter& interpreter, const CallArgs& args)
      : interpreter_(interpreter), args_(args) {}

  absl::Status Run(const String& format, int depth, TextBuilder* out) {
    if (depth > 2) return Error("max string recursion exceeded");
    const std::string_view text = format.view();
    size_t at = 0;
    while (at < text.size() && !out->overflowed()) {
      const size_t brace = std::min(text.find_first_of("{}", at), text.size());
      out->AppendSlice(format, at, brace);
      if (brace == text.size()) break;
      if (brace + 1 < text.size() && text[brace + 1] == text[brace]) {
        out->AppendSlice(format, brace, brace + 1);
        at = brace + 2;
        continue;
      }
      if (text[brace] == '}') return Error("single '}' encountered in format string");
      const size_t end = FieldEnd(text, brace + 1);
      if (end == std::string_view::npos) return Error("single '{' encountered in format string");
      BANYAN_RETURN_IF_ERROR(Field(format, brace + 1, end, depth, out));
      at = end + 1;
    }
    return absl::OkStatus();
  }

 private:
  // The brace that closes the field which begins at `at`.
  static size_t FieldEnd(std::string_view text, size_t at) {
    for (int open = 1; at < text.size(); ++at) {
      if (text[at] == '{') ++open;
      if (text[at] == '}' && --open == 0) return at;
    }
    return std::string_view::npos;
  }

  absl::Status Field(const String& format, size_t begin, size_t end, int depth, TextBuilder* out) {
    const std::string_view field = format.view().substr(begin, end - begin);
    const size_t colon = std::min(field.find(':'), field.size());
    std::string_view name = field.substr(0, colon);
    char conversion = 0;
    if (const size_t mark = name.find('!'); mark != std::string_view::npos) {
      if (mark + 2 != name.size()) return Error("expected one character after '!'");
      conversion = name[mark + 1];
      name = name.substr(0, mark);
    }
    BANYAN_ASSIGN_OR_RETURN(Value value, Lookup(name));
    if (conversion != 0) {
      TextBuilder converted(interpreter_.arena());
      if (conversion == 's') {
        AppendStr(value, &converted);
      } else if (conversion == 'r' || conversion == 'a') {
        AppendRepr(value, &converted);
      } else {
        return Error("unknown conversion specifier '%c'", conversion);
      }
      value = converted.FinishValue();
    }
    const size_t spec_begin = std::min(begin + colon + 1, end);
    TextBuilder spec_text(interpreter_.arena());
    BANYAN_RETURN_IF_ERROR(
        Run(*Slice(interpreter_.arena(), format, spec_begin, end), depth + 1, &spec_text));
    BANYAN_ASSIGN_OR_RETURN(const FormatSpec spec, ParseSpec(spec_text.text()));
    return AppendFormatted(interpreter_, spec, value, out);
  }

  // `0.name[key]`, `name`, or nothing for the next argument.
  absl::StatusOr<Value> Lookup(std::string_view path) {
    size_t at = std::min(path.find_first_of(".["), path.size());
    const std::string_view first = path.substr(0, at);
    BANYAN_ASSIGN_OR_RETURN(Value value, Argument(first));
    while (at < path.size()) {
      if (path[at] == '.') {
        const size_t end = std::min(path.find_first_of(".[", at + 1), path.size());
        BANYAN_ASSIGN_OR_RETURN(
            value, interpreter_.GetAttribute(value, path.substr(at + 1, end - at - 1)));
        at = end;
        continue;
      }
      const size_t end = path.find(']', at);
      if (path[at] != '[' || end == std::string_view::npos) return Error("bad format field");
      const std::string_view key = path.substr(at + 1, end - at - 1);
      size_t digits = 0;
      const std::optional<int64_t> index = ReadCount(key, &digits);
      const bool is_index = index && digits == key.size();
      BANYAN_ASSIGN_OR_RETURN(
          value, interpreter_.GetItem(value, is_index ? Value::Int(*index)
                                                      : TemplateString(interpreter_.arena(), key)));
      at = end + 1;
    }
    return value;
  }

  absl::StatusOr<Value> Argument(std::string_view name) {
    size_t digits = 0;
    const std::optional<int64_t> index = ReadCount(name, &digits);
    if (name.empty() || (index && digits == name.size())) {
      const size_t position = name.empty() ? next_++ : static_cast<size_t>(*index);
      if (position < args_.positional.size()) return args_.positional[position];
      return Error("replacement index %d out of range for positional args", position);
    }
    if (const Value* value = args_.FindNamed(name)) return *value;
    return Error("format has no argument '%s'", name);
  }

  Interpreter& interpreter_;
  const CallArgs& args_;
  size_t next_ = 0;
};

}  // namespace

absl::StatusOr<Value> FormatBraces(Interpreter& interpreter, const String& format,
                                   const CallArgs& args) {
  TextBuilder out(interpreter.arena());
  BANYAN_RETURN_IF_ERROR(BraceFormatter(interpreter, args).Run(format, 0, &out));
  return out.FinishValue();
}

}  // namespace banyan::jinja
