#include "common/text/jinja/text_ops.h"

#include <algorithm>

#include "common/base/status_macros.h"
#include "common/text/jinja/python_text.h"
#include "common/text/jinja/unicode.h"

namespace banyan::jinja {
namespace {

// Whether the character at [at, at + size) of `text` is one of `characters`.
bool IsOneOf(std::string_view text, size_t at, CodePoint c, const String* characters) {
  if (characters == nullptr) return IsPythonSpace(c.value);
  const std::string_view wanted = text.substr(at, c.size);
  for (size_t i = 0; i < characters->size;) {
    const size_t size = DecodeAt(characters->view(), i).size;
    if (characters->view().substr(i, size) == wanted) return true;
    i += size;
  }
  return false;
}

}  // namespace

absl::StatusOr<Value> StripText(Interpreter& interpreter, const String& s, const String* characters,
                                Side side) {
  const std::string_view text = s.view();
  const size_t cost = characters == nullptr ? 1 : characters->size;
  size_t begin = 0;
  size_t end = text.size();
  const auto wants = [side](Side which) {
    return (static_cast<int>(side) & static_cast<int>(which)) != 0;
  };
  while (wants(Side::kLeft) && begin < end) {
    const CodePoint c = DecodeAt(text, begin);
    if (!IsOneOf(text, begin, c, characters)) break;
    BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(cost));
    begin += c.size;
  }
  while (wants(Side::kRight) && end > begin) {
    const size_t previous = PreviousCharacter(text, end);
    if (!IsOneOf(text, previous, DecodeAt(text, previous), characters)) break;
    BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(cost));
    end = previous;
  }
  return Value::Str(Slice(interpreter.arena(), s, begin, end));
}

absl::StatusOr<Value> ReplaceText(Interpreter& interpreter, const String& s, const String& from,
                                  const String& to, int64_t count) {
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(s.size));
  const std::string_view text = s.view();
  TextBuilder result(interpreter.arena());
  size_t at = 0;
  while (count != 0 && !result.overflowed()) {
    // An empty `from` stands before every character and at the end.
    const size_t found = from.size == 0 ? at : text.find(from.view(), at);
    if (found == std::string_view::npos) break;
    result.AppendSlice(s, at, found);
    result.Append(to);
    at = found + from.size;
    if (count > 0) --count;
    if (from.size != 0) continue;
    if (at == text.size()) break;
    const size_t next = at + DecodeAt(text, at).size;
    result.AppendSlice(s, at, next);
    at = next;
  }
  if (at == 0 && result.size() == 0) return Value::Str(&s);
  result.AppendSlice(s, at, text.size());
  return result.FinishValue();
}

absl::StatusOr<Value> JoinText(Interpreter& interpreter, const String& separator,
                               absl::Span<const Value> items) {
  TextBuilder result(interpreter.arena());
  for (size_t i = 0; i < items.size() && !result.overflowed(); ++i) {
    if (i > 0) result.Append(separator);
    AppendStr(items[i], &result);
  }
  return result.FinishValue();
}

absl::StatusOr<Value> PadText(Interpreter& interpreter, const String& s, int64_t width,
                              const String& fill, Align align) {
  if (CountCharacters(fill.view()) != 1) return Error("the fill must be one character long");
  const auto length = static_cast<int64_t>(CountCharacters(s.view()));
  if (width <= length) return Value::Str(&s);
  const auto missing = static_cast<size_t>(width - length);
  size_t left = align == Align::kRight ? missing : 0;
  if (align == Align::kCenter) left = missing / 2 + (missing & static_cast<size_t>(width) & 1);
  TextBuilder result(interpreter.arena());
  result.AppendRepeated(fill, left);
  result.Append(s);
  result.AppendRepeated(fill, missing - left);
  return result.FinishValue();
}

absl::StatusOr<Value> MapText(Interpreter& interpreter, const String& s, CharacterMap map) {
  TextBuilder result(interpreter.arena());
  const std::string_view text = s.view();
  std::string mapped;
  char32_t previous = 0;
  for (size_t at = 0; at < text.size() && !result.overflowed();) {
    const CodePoint c = DecodeAt(text, at);
    mapped.clear();
    map(c.value, previous, &mapped);
    result.Append(mapped, IsUserByte(s, at) ? Origin::kUser : Origin::kTemplate);
    previous = c.value;
    at += c.size;
  }
  return result.FinishValue();
}

void MapUpper(char32_t c, char32_t, std::string* out) { AppendUpper(c, out); }
void MapLower(char32_t c, char32_t, std::string* out) { AppendLower(c, out); }
void MapCapitalize(char32_t c, char32_t previous, std::string* out) {
  if (previous == 0) {
    AppendTitle(c, out);
  } else {
    AppendLower(c, out);
  }
}

}  // namespace banyan::jinja
