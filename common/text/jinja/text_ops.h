// Operations on strings that both filters and methods use. All keep track of user bytes.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/text/jinja/interpreter.h"
#include "common/text/jinja/value.h"

namespace banyan::jinja {

enum class Side : uint8_t { kLeft = 1, kRight = 2, kBoth = 3 };
// `characters` nullptr: white space.
absl::StatusOr<Value> StripText(Interpreter& interpreter, const String& s, const String* characters,
                                Side side);

// `count` < 0: all.
absl::StatusOr<Value> ReplaceText(Interpreter& interpreter, const String& s, const String& from,
                                  const String& to, int64_t count);

absl::StatusOr<Value> JoinText(Interpreter& interpreter, const String& separator,
                               absl::Span<const Value> items);

// Spaces, or `fill`, around `s` up to `width` characters.
enum class Align : uint8_t { kLeft, kRight, kCenter };
absl::StatusOr<Value> PadText(Interpreter& interpreter, const String& s, int64_t width,
                              const String& fill, Align align);

// Rewrites `s` character by character: `map(code point, previous code point or 0, out)`.
using CharacterMap = void (*)(char32_t c, char32_t previous, std::string* out);
absl::StatusOr<Value> MapText(Interpreter& interpreter, const String& s, CharacterMap map);
void MapUpper(char32_t c, char32_t previous, std::string* out);
void MapLower(char32_t c, char32_t previous, std::string* out);
void MapCapitalize(char32_t c, char32_t previous, std::string* out);

}  // namespace banyan::jinja
