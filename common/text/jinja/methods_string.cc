// Methods of str that make new strings or lists of them.
#include <algorithm>

#include "common/base/status_macros.h"
#include "common/text/jinja/builtin_entries.h"
#include "common/text/jinja/format_braces.h"
#include "common/text/jinja/text_ops.h"
#include "common/text/jinja/unicode.h"

namespace banyan::jinja {
namespace {

using Result = absl::StatusOr<Value>;

template <CharacterMap kMap>
Result Mapped(Interpreter& interpreter, const Value& self, const CallArgs&) {
  return MapText(interpreter, *self.string, kMap);
}

void MapTitle(char32_t c, char32_t previous, std::string* out) {
  if (IsUpper(previous) || IsLower(previous) || IsTitle(previous)) {
    AppendLower(c, out);
  } else {
    AppendTitle(c, out);
  }
}

void MapSwapCase(char32_t c, char32_t, std::string* out) {
  if (IsUpper(c)) {
    AppendLower(c, out);
  } else {
    AppendUpper(c, out);
  }
}

template <Side kSide>
Result Strip(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  const Value* characters = args.Find(0, "chars");
  if (characters == nullptr || characters->is_none()) {
    return StripText(interpreter, *self.string, nullptr, kSide);
  }
  if (!characters->is_string()) return Error("strip arg must be None or str");
  return StripText(interpreter, *self.string, characters->string, kSide);
}

Result Replace(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const String* from, StringArgument(args, 0, "old", "replace"));
  BANYAN_ASSIGN_OR_RETURN(const String* to, StringArgument(args, 1, "new", "replace"));
  BANYAN_ASSIGN_OR_RETURN(const int64_t count, IntegerArgument(args, 2, "count", -1));
  return ReplaceText(interpreter, *self.string, *from, *to, count);
}

Result Join(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  const Value* iterable = args.Find(0, "iterable");
  if (iterable == nullptr) return Error("join() needs the argument 'iterable'");
  BANYAN_ASSIGN_OR_RETURN(const absl::Span<const Value> items, interpreter.Iterate(*iterable));
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].is_string()) continue;
    return Error("sequence item %d: expected str instance, %s found", i, TypeName(items[i]));
  }
  return JoinText(interpreter, *self.string, items);
}

// Pieces between runs of white space, at most `limit` cuts from the given side.
Result SplitAtSpace(Interpreter& interpreter, const String& s, int64_t limit, bool from_right) {
  const std::string_view text = s.view();
  std::vector<std::pair<size_t, size_t>> words;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = DecodeAt(text, at);
    const bool in_word = !words.empty() && words.back().second == at;
    if (!IsPythonSpace(c.value)) {
      if (!in_word) {
        if (!interpreter.arena().Charge(sizeof(words[0]))) return Error("out of memory");
        words.emplace_back(at, at);
      }
      words.back().second = at + c.size;
    }
    at += c.size;
  }
  const auto cuts = static_cast<size_t>(limit);
  if (limit >= 0 && words.size() > cuts + 1) {
    if (from_right) {
      const size_t extra = words.size() - cuts - 1;
      const size_t end = words[extra].second;
      words.erase(words.begin() + 1, words.begin() + static_cast<std::ptrdiff_t>(extra) + 1);
      words[0] = {0, end};
    } else {
      words.resize(cuts + 1);
      words.back().second = text.size();
    }
  }
  SequenceBuilder pieces(interpreter.arena());
  for (const auto& [begin, end] : words) {
    if (pieces.full()) break;
    pieces.Append(Value::Str(Slice(interpreter.arena(), s, begin, end)));
  }
  return pieces.Finish();
}

Result SplitAt(Interpreter& interpreter, const String& s, std::string_view separator,
               int64_t limit) {
  SequenceBuilder pieces(interpreter.arena());
  size_t begin = 0;
  while (limit != 0 && !pieces.full()) {
    const size_t found = s.view().find(separator, begin);
    if (found == std::string_view::npos) break;
    pieces.Append(Value::Str(Slice(interpreter.arena(), s, begin, found)));
    begin = found + separator.size();
    if (limit > 0) --limit;
  }
  pieces.Append(Value::Str(Slice(interpreter.arena(), s, begin, s.size)));
  return pieces.Finish();
}

Result SplitFromRight(Interpreter& interpreter, const String& s, std::string_view separator,
                      int64_t limit) {
  std::vector<Value> pieces;
  size_t end = s.size;
  while (limit != 0 && !interpreter.arena().exceeded()) {
    const size_t found = s.view().substr(0, end).rfind(separator);
    if (found == std::string_view::npos) break;
    pieces.push_back(Value::Str(Slice(interpreter.arena(), s, found + separator.size(), end)));
    end = found;
    if (limit > 0) --limit;
  }
  pieces.push_back(Value::Str(Slice(interpreter.arena(), s, 0, end)));
  SequenceBuilder result(interpreter.arena());
  for (auto it = pieces.rbegin(); it != pieces.rend(); ++it) result.Append(*it);
  return result.Finish();
}

template <bool kFromRight>
Result Split(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  const String& s = *self.string;
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(s.size));
  BANYAN_ASSIGN_OR_RETURN(const int64_t limit, IntegerArgument(args, 1, "maxsplit", -1));
  const Value* separator = args.Find(0, "sep");
  if (separator == nullptr || separator->is_none()) {
    return SplitAtSpace(interpreter, s, limit, kFromRight);
  }
  if (!separator->is_string()) {
    return Error("split() separator must be str or None, not %s", TypeName(*separator));
  }
  if (separator->string->size == 0) return Error("empty separator");
  if (kFromRight) return SplitFromRight(interpreter, s, separator->text(), limit);
  return SplitAt(interpreter, s, separator->text(), limit);
}

// The size of the line end at `at`, 0 if there is none.
size_t LineEndSize(std::string_view text, size_t at) {
  if (text[at] == '\r') return at + 1 < text.size() && text[at + 1] == '\n' ? 2 : 1;
  const CodePoint c = DecodeAt(text, at);
  const bool ends = (c.value >= 0x0A && c.value <= 0x0C) || (c.value >= 0x1C && c.value <= 0x1E) ||
                    c.value == 0x85 || c.value == 0x2028 || c.value == 0x2029;
  return ends ? c.size : 0;
}

Result SplitLines(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  const String& s = *self.string;
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(s.size));
  const bool keeps_ends = BoolArgument(args, 0, "keepends", false);
  SequenceBuilder lines(interpreter.arena());
  size_t begin = 0;
  for (size_t at = 0; at < s.size && !lines.full();) {
    const size_t end_size = LineEndSize(s.view(), at);
    if (end_size == 0) {
      at += DecodeAt(s.view(), at).size;
      continue;
    }
    const size_t end = keeps_ends ? at + end_size : at;
    lines.Append(Value::Str(Slice(interpreter.arena(), s, begin, end)));
    at += end_size;
    begin = at;
  }
  if (begin < s.size) lines.Append(Value::Str(Slice(interpreter.arena(), s, begin, s.size)));
  return lines.Finish();
}

template <bool kFromRight>
Result Partition(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const String* separator, StringArgument(args, 0, "sep", "partition"));
  if (separator->size == 0) return Error("empty separator");
  const String& s = *self.string;
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(s.size));
  Arena& arena = interpreter.arena();
  const size_t found =
      kFromRight ? s.view().rfind(separator->view()) : s.view().find(separator->view());
  SequenceBuilder parts(arena);
  const Value empty = TemplateString(arena, "");
  if (found == std::string_view::npos) {
    if (kFromRight) {
      for (const Value& part : {empty, empty, self}) parts.Append(part);
    } else {
      for (const Value& part : {self, empty, empty}) parts.Append(part);
    }
  } else {
    const size_t end = found + separator->size;
    parts.Append(Value::Str(Slice(arena, s, 0, found)));
    parts.Append(Value::Str(Slice(arena, s, found, end)));
    parts.Append(Value::Str(Slice(arena, s, end, s.size)));
  }
  return parts.Finish(Flavor::kTuple);
}

template <Align kAlign>
Result Pad(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const int64_t width, IntegerArgument(args, 0, "width", 0));
  const String space{.data = " ", .size = 1};
  const String* fill = &space;
  if (args.Find(1, "fillchar") != nullptr) {
    BANYAN_ASSIGN_OR_RETURN(fill, StringArgument(args, 1, "fillchar", "justify"));
  }
  return PadText(interpreter, *self.string, width, *fill, kAlign);
}

Result ZeroFill(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(int64_t width, IntegerArgument(args, 0, "width", 0));
  width = std::max<int64_t>(width, 0);
  const String& s = *self.string;
  const bool has_sign = s.size > 0 && (s.data[0] == '-' || s.data[0] == '+');
  const size_t sign = has_sign ? 1 : 0;
  const String zero{.data = "0", .size = 1};
  Arena& arena = interpreter.arena();
  BANYAN_ASSIGN_OR_RETURN(const Value digits,
                          PadText(interpreter, *Slice(arena, s, sign, s.size),
                                  width - static_cast<int64_t>(sign), zero, Align::kRight));
  return Value::Str(Concat(arena, *Slice(arena, s, 0, sign), *digits.string));
}

Result RemovePrefix(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const String* prefix, StringArgument(args, 0, "prefix", "removeprefix"));
  if (!self.text().starts_with(prefix->view())) return self;
  return Value::Str(Slice(interpreter.arena(), *self.string, prefix->size, self.string->size));
}

Result RemoveSuffix(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const String* suffix, StringArgument(args, 0, "suffix", "removesuffix"));
  if (!self.text().ends_with(suffix->view())) return self;
  return Value::Str(Slice(interpreter.arena(), *self.string, 0, self.string->size - suffix->size));
}

Result Format(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  return FormatBraces(interpreter, *self.string, args);
}

}  // namespace

absl::Span<const BuiltinEntry> StringMethods() {
  static constexpr BuiltinEntry kEntries[] = {
      {"upper", &Mapped<MapUpper>},
      {"lower", &Mapped<MapLower>},
      {"casefold", &Mapped<MapLower>},
      {"title", &Mapped<MapTitle>},
      {"capitalize", &Mapped<MapCapitalize>},
      {"swapcase", &Mapped<MapSwapCase>},
      {"strip", &Strip<Side::kBoth>},
      {"lstrip", &Strip<Side::kLeft>},
      {"rstrip", &Strip<Side::kRight>},
      {"replace", &Replace},
      {"join", &Join},
      {"split", &Split<false>},
      {"rsplit", &Split<true>},
      {"splitlines", &SplitLines},
      {"partition", &Partition<false>},
      {"rpartition", &Partition<true>},
      {"ljust", &Pad<Align::kLeft>},
      {"rjust", &Pad<Align::kRight>},
      {"center", &Pad<Align::kCenter>},
      {"zfill", &ZeroFill},
      {"removeprefix", &RemovePrefix},
      {"removesuffix", &RemoveSuffix},
      {"format", &Format},
  };
  return kEntries;
}

}  // namespace banyan::jinja
