// Filters on strings.
#include <algorithm>

#include "common/base/status_macros.h"
#include "common/text/jinja/builtin_entries.h"
#include "common/text/jinja/interpreter.h"
#include "common/text/jinja/operators.h"
#include "common/text/jinja/python_text.h"
#include "common/text/jinja/text_ops.h"
#include "common/text/jinja/unicode.h"

namespace banyan::jinja {
namespace {

using Result = absl::StatusOr<Value>;

const String& Text(Interpreter& interpreter, const Value& self) {
  return *ToString(interpreter.arena(), self);
}

template <CharacterMap kMap>
Result Mapped(Interpreter& interpreter, const Value& self, const CallArgs&) {
  return MapText(interpreter, Text(interpreter, self), kMap);
}

// Jinja's title: a word also begins after -, (, {, [ and <, and nowhere else.
void MapTitle(char32_t c, char32_t previous, std::string* out) {
  const bool begins = previous == 0 || previous == '-' || previous == '(' || previous == '{' ||
                      previous == '[' || previous == '<' || IsPythonSpace(previous);
  if (begins) {
    AppendUpper(c, out);
  } else {
    AppendLower(c, out);
  }
}

void MapEscape(char32_t c, char32_t, std::string* out) {
  switch (c) {
    case '&':
      out->append("&amp;");
      break;
    case '<':
      out->append("&lt;");
      break;
    case '>':
      out->append("&gt;");
      break;
    case '\'':
      out->append("&#39;");
      break;
    case '"':
      out->append("&#34;");
      break;
    default:
      AppendUtf8(c, out);
  }
}

void MapUrlEncode(char32_t c, char32_t, std::string* out) {
  const bool safe = c < 0x80 && (IsLetter(c) || IsDecimalDigit(c) || c == '_' || c == '.' ||
                                 c == '-' || c == '~' || c == '/');
  std::string bytes;
  AppendUtf8(c, &bytes);
  if (safe) {
    out->append(bytes);
    return;
  }
  for (const char byte : bytes) {
    out->append(absl::StrFormat("%%%02X", static_cast<unsigned char>(byte)));
  }
}

Result UrlEncode(Interpreter& interpreter, const Value& self, const CallArgs&) {
  if (self.is_dict() || self.is_sequence()) return Error("urlencode needs a string");
  return MapText(interpreter, Text(interpreter, self), &MapUrlEncode);
}

Result Trim(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  const String& s = Text(interpreter, self);
  const Value* characters = args.Find(0, "chars");
  if (characters == nullptr || characters->is_none()) {
    return StripText(interpreter, s, nullptr, Side::kBoth);
  }
  if (!characters->is_string()) return Error("strip arg must be None or str");
  return StripText(interpreter, s, characters->string, Side::kBoth);
}

Result Replace(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  const Value* from = args.Find(0, "old");
  const Value* to = args.Find(1, "new");
  if (from == nullptr || to == nullptr) return Error("replace needs two strings");
  BANYAN_ASSIGN_OR_RETURN(const int64_t count, IntegerArgument(args, 2, "count", -1));
  return ReplaceText(interpreter, Text(interpreter, self), Text(interpreter, *from),
                     Text(interpreter, *to), count);
}

Result Center(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const int64_t width, IntegerArgument(args, 0, "width", 80));
  const String space{.data = " ", .size = 1};
  return PadText(interpreter, Text(interpreter, self), width, space, Align::kCenter);
}

Result Indent(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  const String& s = Text(interpreter, self);
  const bool first = BoolArgument(args, 1, "first", false);
  const bool blank = BoolArgument(args, 2, "blank", false);
  Arena& arena = interpreter.arena();
  const String* indention = nullptr;
  const Value* width = args.Find(0, "width");
  if (width != nullptr && width->is_string()) {
    indention = width->string;
  } else {
    BANYAN_ASSIGN_OR_RETURN(const int64_t count, IntegerArgument(args, 0, "width", 4));
    TextBuilder spaces(arena);
    spaces.AppendRepeated(' ', static_cast<size_t>(std::max<int64_t>(count, 0)));
    if (spaces.overflowed()) return Error("the indentation is too wide");
    indention = spaces.Finish();
  }
  TextBuilder result(arena);
  if (first) result.Append(*indention);
  size_t begin = 0;
  while (!result.overflowed()) {
    const size_t newline = std::min(s.view().find('\n', begin), s.size);
    if (begin > 0 && (blank || newline > begin)) result.Append(*indention);
    result.AppendSlice(s, begin, std::min(newline + 1, s.size));
    if (newline >= s.size) break;
    begin = newline + 1;
  }
  return result.FinishValue();
}

Result Truncate(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  const String& s = Text(interpreter, self);
  BANYAN_ASSIGN_OR_RETURN(const int64_t length, IntegerArgument(args, 0, "length", 255));
  const bool kill_words = BoolArgument(args, 1, "killwords", false);
  const Value* end_value = args.Find(2, "end");
  const String& end = end_value == nullptr
                          ? Text(interpreter, TemplateString(interpreter.arena(), "..."))
                          : Text(interpreter, *end_value);
  BANYAN_ASSIGN_OR_RETURN(const int64_t leeway, IntegerArgument(args, 3, "leeway", 5));
  const auto end_length = static_cast<int64_t>(CountCharacters(end.view()));
  if (length < end_length) return Error("truncate: expected length >= %d", end_length);
  if (leeway < 0) return Error("truncate: expected leeway >= 0");
  const auto size = static_cast<int64_t>(CountCharacters(s.view()));
  if (size - leeway <= length) return Value::Str(&s);
  size_t cut = OffsetOfCharacter(s.view(), static_cast<size_t>(length - end_length));
  if (!kill_words) {
    const size_t space = s.view().substr(0, cut).rfind(' ');
    if (space != std::string_view::npos) cut = space;
  }
  return Value::Str(Concat(interpreter.arena(), *Slice(interpreter.arena(), s, 0, cut), end));
}

Result WordCount(Interpreter& interpreter, const Value& self, const CallArgs&) {
  const std::string_view text = Text(interpreter, self).view();
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(text.size()));
  int64_t count = 0;
  bool in_word = false;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = DecodeAt(text, at);
    const bool is_word = c.value == '_' || IsLetter(c.value) || IsNumeric(c.value);
    if (is_word && !in_word) ++count;
    in_word = is_word;
    at += c.size;
  }
  return Value::Int(count);
}

// Tags and comments out, white space to single spaces.
Result StripTags(Interpreter& interpreter, const Value& self, const CallArgs&) {
  const String& s = Text(interpreter, self);
  const std::string_view text = s.view();
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(text.size()));
  TextBuilder result(interpreter.arena());
  bool pending_space = false;
  // Behind these no tag, or no comment, can close: the search stays linear.
  const size_t last_tag_end = text.rfind('>');
  const size_t last_comment_end = text.rfind("-->");
  for (size_t at = 0; at < text.size() && !result.overflowed();) {
    const bool is_comment = text.substr(at, 4) == "<!--";
    const size_t last = is_comment ? last_comment_end : last_tag_end;
    const bool closes = text[at] == '<' && last != std::string_view::npos && at < last;
    const size_t close = !closes      ? std::string_view::npos
                         : is_comment ? text.find("-->", at)
                                      : text.find('>', at);
    if (close != std::string_view::npos) {
      at = close + (is_comment ? 3 : 1);
      continue;
    }
    const CodePoint c = DecodeAt(text, at);
    if (IsPythonSpace(c.value)) {
      pending_space = result.size() > 0;
    } else {
      if (pending_space) result.Append(' ');
      pending_space = false;
      result.AppendSlice(s, at, at + c.size);
    }
    at += c.size;
  }
  return result.FinishValue();
}

Result Format(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  const String& format = Text(interpreter, self);
  if (!args.named.empty()) {
    if (!args.positional.empty()) {
      return Error("format takes positional or keyword arguments, not both");
    }
    DictBuilder dict(interpreter.arena());
    for (const auto& [name, value] : args.named) dict.Append(name, value);
    BANYAN_ASSIGN_OR_RETURN(const Value mapping, dict.Finish());
    return FormatPercent(interpreter, format, mapping);
  }
  SequenceBuilder tuple(interpreter.arena());
  for (const Value& v : args.positional) tuple.Append(v);
  BANYAN_ASSIGN_OR_RETURN(const Value arguments, tuple.Finish(Flavor::kTuple));
  return FormatPercent(interpreter, format, arguments);
}

}  // namespace

absl::Span<const BuiltinEntry> TextFilters() {
  static constexpr BuiltinEntry kEntries[] = {
      {"upper", &Mapped<MapUpper>},
      {"lower", &Mapped<MapLower>},
      {"capitalize", &Mapped<MapCapitalize>},
      {"title", &Mapped<MapTitle>},
      {"escape", &Mapped<MapEscape>},
      {"e", &Mapped<MapEscape>},
      {"forceescape", &Mapped<MapEscape>},
      {"urlencode", &UrlEncode},
      {"trim", &Trim},
      {"replace", &Replace},
      {"center", &Center},
      {"indent", &Indent},
      {"truncate", &Truncate},
      {"wordcount", &WordCount},
      {"striptags", &StripTags},
      {"format", &Format},
  };
  return kEntries;
}

}  // namespace banyan::jinja
