#include "common/text/jinja/string_literal.h"

#include <cstdint>

#include "common/text/jinja/unicode.h"

namespace banyan::jinja {
namespace {

int DigitValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 99;
}

// Reads up to `max_digits` digits from `at` on; the number of them goes to `num_digits`.
char32_t ReadDigits(std::string_view body, size_t at, size_t max_digits, int base,
                    size_t* num_digits) {
  char32_t value = 0;
  size_t n = 0;
  while (n < max_digits && at + n < body.size() && DigitValue(body[at + n]) < base) {
    value = value * static_cast<char32_t>(base) + static_cast<char32_t>(DigitValue(body[at + n]));
    ++n;
  }
  *num_digits = n;
  return value;
}

char SimpleEscape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return 0;
  }
}

// Decodes \x, \u, \U or an octal escape whose letter stands at `at`. The offset behind it; 0 if it
// is none.
size_t DecodeNumeric(std::string_view body, size_t at, std::string* out) {
  const char c = body[at];
  size_t num_digits = 0;
  if (c >= '0' && c <= '7') {
    AppendUtf8(ReadDigits(body, at, 3, 8, &num_digits), out);
    return at + num_digits;
  }
  const size_t wanted = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (wanted == 0) return 0;
  const char32_t value = ReadDigits(body, at + 1, wanted, 16, &num_digits);
  const bool is_character = value < 0xD800 || (value > 0xDFFF && value < kInvalidBase);
  if (num_digits != wanted || !is_character) return 0;
  AppendUtf8(value, out);
  return at + 1 + wanted;
}

}  // namespace

std::string DecodeStringLiteral(std::string_view body) {
  std::string out;
  out.reserve(body.size());
  for (size_t at = 0; at < body.size();) {
    if (body[at] != '\\' || at + 1 == body.size()) {
      out.push_back(body[at++]);
      continue;
    }
    const char c = body[at + 1];
    if (c == '\n') {  // a continued line
      at += 2;
    } else if (const char simple = SimpleEscape(c); simple != 0) {
      out.push_back(simple);
      at += 2;
    } else if (const size_t end = DecodeNumeric(body, at + 1, &out); end != 0) {
      at = end;
    } else {
      out.push_back('\\');
      ++at;
    }
  }
  return out;
}

}  // namespace banyan::jinja
