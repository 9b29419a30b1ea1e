// Code points of UTF-8 text and Python's view of them. Bytes that are no UTF-8 count as one
// character each. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace banyan::jinja {

struct CodePoint {
  char32_t value = 0;  // an invalid byte: kInvalidBase + byte
  size_t size = 1;     // in bytes
};

inline constexpr char32_t kInvalidBase = 0x110000;

// Needs offset < text.size().
CodePoint DecodeAt(std::string_view text, size_t offset);
// The offset of the character that ends at `end` (> 0).
size_t PreviousCharacter(std::string_view text, size_t end);
void AppendUtf8(char32_t code_point, std::string* out);

size_t CountCharacters(std::string_view text);
// Byte offset of the character number `index`; text.size() if there are no more.
size_t OffsetOfCharacter(std::string_view text, size_t index);

bool IsPythonSpace(char32_t c);   // str.isspace, what strip() and split() use
bool IsLetter(char32_t c);        // str.isalpha
bool IsDecimalDigit(char32_t c);  // str.isdecimal
bool IsDigit(char32_t c);         // str.isdigit
bool IsNumeric(char32_t c);       // str.isnumeric
bool IsUpper(char32_t c);
bool IsLower(char32_t c);
bool IsTitle(char32_t c);
bool IsPrintable(char32_t c);  // what repr() leaves as it is
bool IsIdentifierStart(char32_t c);
bool IsIdentifierPart(char32_t c);

// Full mappings where Python has them and they are common (the German sharp s), else the simple
// one.
void AppendUpper(char32_t c, std::string* out);
void AppendLower(char32_t c, std::string* out);
void AppendTitle(char32_t c, std::string* out);

}  // namespace banyan::jinja
