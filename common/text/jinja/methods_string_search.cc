// Methods of str that look into a string.
#include <algorithm>

#include "common/base/status_macros.h"
#include "common/text/jinja/builtin_entries.h"
#include "common/text/jinja/interpreter.h"
#include "common/text/jinja/unicode.h"

namespace banyan::jinja {
namespace {

using Result = absl::StatusOr<Value>;

// The part of the string that the optional arguments start and end name, and its offset in
// characters and bytes.
struct Range {
  std::string_view text;
  size_t first_character = 0;
};

absl::StatusOr<Range> SearchedRange(Interpreter& interpreter, const Value& self,
                                    const CallArgs& args) {
  const std::string_view text = self.text();
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(text.size()));
  if (args.positional.size() < 2) return Range{text, 0};
  const auto length = static_cast<int64_t>(CountCharacters(text));
  BANYAN_ASSIGN_OR_RETURN(int64_t begin, IntegerArgument(args, 1, "start", 0));
  BANYAN_ASSIGN_OR_RETURN(int64_t end, IntegerArgument(args, 2, "end", length));
  if (begin < 0) begin = std::max<int64_t>(begin + length, 0);
  if (end < 0) end = std::max<int64_t>(end + length, 0);
  end = std::min(end, length);
  if (begin > end) return Range{text.substr(text.size()), static_cast<size_t>(length)};
  const size_t from = OffsetOfCharacter(text, static_cast<size_t>(begin));
  const size_t to = OffsetOfCharacter(text, static_cast<size_t>(end));
  return Range{text.substr(from, to - from), static_cast<size_t>(begin)};
}

template <bool kPrefix>
Result Affix(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const Range range, SearchedRange(interpreter, self, args));
  const Value* affix = args.Find(0, "prefix");
  if (affix == nullptr) return Error("startswith() and endswith() need an argument");
  const auto matches = [&](const Value& wanted) {
    return kPrefix ? range.text.starts_with(wanted.text()) : range.text.ends_with(wanted.text());
  };
  if (affix->is_string()) return Value::Bool(matches(*affix));
  if (affix->is_sequence() && affix->sequence->flavor == Flavor::kTuple) {
    for (size_t i = 0; i < affix->sequence->size; ++i) {
      const Value& wanted = affix->sequence->items[i];
      if (!wanted.is_string()) return Error("tuple for startswith() must contain only str");
      if (matches(wanted)) return Value::Bool(true);
    }
    return Value::Bool(false);
  }
  if (affix->is_undefined()) return Error("%s", UndefinedMessage(*affix));
  return Error("startswith() first arg must be str or a tuple of str, not %s", TypeName(*affix));
}

template <bool kFromRight, bool kMustExist>
Result Find(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const String* wanted, StringArgument(args, 0, "sub", "find"));
  BANYAN_ASSIGN_OR_RETURN(const Range range, SearchedRange(interpreter, self, args));
  const size_t found =
      kFromRight ? range.text.rfind(wanted->view()) : range.text.find(wanted->view());
  if (found == std::string_view::npos) {
    if (kMustExist) return Error("substring not found");
    return Value::Int(-1);
  }
  return Value::Int(
      static_cast<int64_t>(range.first_character + CountCharacters(range.text.substr(0, found))));
}

Result Count(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const String* wanted, StringArgument(args, 0, "sub", "count"));
  BANYAN_ASSIGN_OR_RETURN(const Range range, SearchedRange(interpreter, self, args));
  if (wanted->size == 0) {
    return Value::Int(static_cast<int64_t>(CountCharacters(range.text)) + 1);
  }
  int64_t count = 0;
  for (size_t at = range.text.find(wanted->view()); at != std::string_view::npos;
       at = range.text.find(wanted->view(), at + wanted->size)) {
    ++count;
  }
  return Value::Int(count);
}

// Whether there is a character and all are such.
template <bool (*kHolds)(char32_t)>
Result All(Interpreter& interpreter, const Value& self, const CallArgs&) {
  const std::string_view text = self.text();
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(text.size()));
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = DecodeAt(text, at);
    if (!kHolds(c.value)) return Value::Bool(false);
    at += c.size;
  }
  return Value::Bool(!text.empty());
}

bool IsAlphanumeric(char32_t c) { return IsLetter(c) || IsNumeric(c); }

// Whether there is a cased character and none of the wrong case.
template <bool (*kWanted)(char32_t), bool (*kOther)(char32_t)>
Result OneCase(Interpreter& interpreter, const Value& self, const CallArgs&) {
  const std::string_view text = self.text();
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(text.size()));
  bool found = false;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = DecodeAt(text, at);
    if (kOther(c.value) || IsTitle(c.value)) return Value::Bool(false);
    found |= kWanted(c.value);
    at += c.size;
  }
  return Value::Bool(found);
}

Result IsTitleText(Interpreter& interpreter, const Value& self, const CallArgs&) {
  const std::string_view text = self.text();
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(text.size()));
  bool found = false;
  bool after_cased = false;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = DecodeAt(text, at);
    const bool upper = IsUpper(c.value) || IsTitle(c.value);
    const bool lower = IsLower(c.value);
    if ((upper && after_cased) || (lower && !after_cased)) return Value::Bool(false);
    found |= upper || lower;
    after_cased = upper || lower;
    at += c.size;
  }
  return Value::Bool(found);
}

bool IsAsciiCharacter(char32_t c) { return c < 0x80; }

template <bool (*kHolds)(char32_t)>
Result AllOrEmpty(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  if (self.text().empty()) return Value::Bool(true);
  return All<kHolds>(interpreter, self, args);
}

}  // namespace

absl::Span<const BuiltinEntry> StringSearchMethods() {
  static constexpr BuiltinEntry kEntries[] = {
      {"startswith", &Affix<true>},
      {"endswith", &Affix<false>},
      {"find", &Find<false, false>},
      {"rfind", &Find<true, false>},
      {"index", &Find<false, true>},
      {"rindex", &Find<true, true>},
      {"count", &Count},
      {"isalpha", &All<IsLetter>},
      {"isdigit", &All<IsDigit>},
      {"isdecimal", &All<IsDecimalDigit>},
      {"isnumeric", &All<IsNumeric>},
      {"isalnum", &All<IsAlphanumeric>},
      {"isspace", &All<IsPythonSpace>},
      {"isprintable", &AllOrEmpty<IsPrintable>},
      {"isascii", &AllOrEmpty<IsAsciiCharacter>},
      {"isupper", &OneCase<IsUpper, IsLower>},
      {"islower", &OneCase<IsLower, IsUpper>},
      {"istitle", &IsTitleText},
  };
  return kEntries;
}

}  // namespace banyan::jinja
