// UTF-8 and the character classes that pre-tokenizers ask for. Thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace banyan {

// One bit per class; a code point may be in several.
enum CharClass : uint8_t {
  kLetter = 1 << 0,      // \p{L}
  kNumber = 1 << 1,      // \p{N}
  kSpace = 1 << 2,       // \s: White_Space
  kUpperLike = 1 << 3,   // \p{Lu} \p{Lt} \p{Lm} \p{Lo} \p{M}
  kLowerLike = 1 << 4,   // \p{Ll} \p{Lm} \p{Lo} \p{M}
  kWord = 1 << 5,        // \w
  kNfcSuspect = 1 << 6,  // NFC may change it, or it may join with what stands before it
};

// Classes of every code point, by utf8proc's Unicode tables; two levels, about 80 KiB.
class CharTable {
 public:
  static const CharTable& Get();

  uint8_t Classes(char32_t c) const {
    return c < 0x110000 ? blocks_[size_t{index_[c >> 8]} << 8 | (c & 0xFF)] : 0;
  }
  uint8_t AsciiClasses(uint8_t c) const { return blocks_[size_t{index_[0]} << 8 | c]; }

 private:
  CharTable();

  std::array<uint16_t, 0x1100> index_;
  std::unique_ptr<uint8_t[]> blocks_;
};

struct DecodedChar {
  char32_t code = 0;
  uint32_t size = 1;  // bytes
};

// The character at `text`, which must be valid UTF-8 with at least one character left.
inline DecodedChar DecodeChar(const char* text) {
  const auto byte = [text](int i) { return static_cast<uint32_t>(static_cast<uint8_t>(text[i])); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F),
          4};
}

// The character that ends at `end`; [begin, end) is valid UTF-8 and not empty.
DecodedChar DecodeCharBefore(std::string_view text);

void AppendUtf8(char32_t c, std::string& out);

// Offset of the first byte that is not part of valid UTF-8; absent when all of it is valid.
std::optional<size_t> FindInvalidUtf8(std::string_view text);

inline constexpr std::string_view kReplacementChar = "\xEF\xBF\xBD";  // U+FFFD

// How a sequence of bytes that may not be UTF-8 begins.
enum class Utf8Prefix {
  kChar,        // a whole character of `size` bytes
  kInvalid,     // `size` bytes that no continuation can make valid (a maximal subpart)
  kIncomplete,  // all `size` bytes are the beginning of a character
};
struct Utf8Step {
  Utf8Prefix kind = Utf8Prefix::kChar;
  uint32_t size = 1;
};
// `bytes` must not be empty.
Utf8Step NextUtf8(std::string_view bytes);

}  // namespace banyan
