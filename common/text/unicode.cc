#include "common/text/unicode.h"

#include <utf8proc.h>

#include <cstring>
#include <map>
#include <vector>

namespace banyan {
namespace {

constexpr char32_t kNumCodePoints = 0x110000;
constexpr size_t kBlockSize = 256;

// Unicode's White_Space property, which no general category spells.
bool IsWhiteSpace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

// What \w has beyond letters, marks, digits and connectors: joiners and the circled and squared
// letters of Other_Alphabetic.
bool IsFurtherWordChar(char32_t c) {
  return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) ||
         (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
         (c >= 0x1F170 && c <= 0x1F189);
}

uint8_t CategoryClasses(utf8proc_category_t category) {
  switch (category) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
      return kLetter | kWord | kUpperLike;
    case UTF8PROC_CATEGORY_LL:
      return kLetter | kWord | kLowerLike;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return kLetter | kWord | kUpperLike | kLowerLike;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return kWord | kUpperLike | kLowerLike;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
      return kNumber | kWord;
    case UTF8PROC_CATEGORY_NO:
      return kNumber;
    case UTF8PROC_CATEGORY_PC:
      return kWord;
    default:
      return 0;
  }
}

// Marks in `classes` what NFC can touch: every character with a canonical decomposition that does
// not compose back to itself, every non-starter, and every character that stands at a later place
// of some canonical decomposition (it may join with the one before it).
void MarkNfcSuspects(std::vector<uint8_t>& classes) {
  for (char32_t c = 0xC0; c < kNumCodePoints; ++c) {
    const utf8proc_property_t* property = utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
    if (property->combining_class != 0) classes[c] |= kNfcSuspect;
    utf8proc_int32_t parts[8];
    const utf8proc_ssize_t num_parts = utf8proc_decompose_char(
        static_cast<utf8proc_int32_t>(c), parts, 8, UTF8PROC_DECOMPOSE, nullptr);
    if (num_parts < 1 || num_parts > 8) continue;
    for (utf8proc_ssize_t i = 1; i < num_parts; ++i) {
      classes[static_cast<size_t>(parts[i])] |= kNfcSuspect;
    }
    if (num_parts == 1 && parts[0] == static_cast<utf8proc_int32_t>(c)) continue;
    const utf8proc_ssize_t composed = utf8proc_normalize_utf32(
        parts, num_parts, static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    if (composed != 1 || parts[0] != static_cast<utf8proc_int32_t>(c)) classes[c] |= kNfcSuspect;
  }
}

}  // namespace

CharTable::CharTable() {
  std::vector<uint8_t> classes(kNumCodePoints, 0);
  for (char32_t c = 0; c < kNumCodePoints; ++c) {
    classes[c] = CategoryClasses(utf8proc_category(static_cast<utf8proc_int32_t>(c)));
    if (IsWhiteSpace(c)) classes[c] |= kSpace;
    if (IsFurtherWordChar(c)) classes[c] |= kWord;
  }
  MarkNfcSuspects(classes);

  std::map<std::string_view, uint16_t> known;
  for (size_t block = 0; block < index_.size(); ++block) {
    const std::string_view bytes(reinterpret_cast<const char*>(&classes[block * kBlockSize]),
                                 kBlockSize);
    index_[block] = known.emplace(bytes, static_cast<uint16_t>(known.size())).first->second;
  }
  blocks_ = std::make_unique<uint8_t[]>(known.size() * kBlockSize);
  for (const auto& [bytes, number] : known) {
    std::memcpy(&blocks_[size_t{number} * kBlockSize], bytes.data(), kBlockSize);
  }
}

const CharTable& CharTable::Get() {
  static const CharTable table;
  return table;
}

DecodedChar DecodeCharBefore(std::string_view text) {
  size_t start = text.size() - 1;
  while (start > 0 && (static_cast<uint8_t>(text[start]) & 0xC0) == 0x80) --start;
  return DecodeChar(text.data() + start);
}

void AppendUtf8(char32_t c, std::string& out) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

Utf8Step NextUtf8(std::string_view bytes) {
  const auto byte = [bytes](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {Utf8Prefix::kChar, 1};
  const uint32_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4) return {Utf8Prefix::kInvalid, 1};
  // The second byte's range keeps out overlong forms, surrogates and what lies beyond U+10FFFF.
  const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (uint32_t i = 1; i < length; ++i) {
    if (i == bytes.size()) return {Utf8Prefix::kIncomplete, i};
    const bool continues = i == 1 ? byte(i) >= low && byte(i) <= high : (byte(i) & 0xC0) == 0x80;
    if (!continues) return {Utf8Prefix::kInvalid, i};
  }
  return {Utf8Prefix::kChar, length};
}

std::optional<size_t> FindInvalidUtf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    uint64_t eight;
    if (text.size() - at >= sizeof eight) {
      std::memcpy(&eight, text.data() + at, sizeof eight);
      if ((eight & 0x8080808080808080u) == 0) {
        at += sizeof eight;
        continue;
      }
    }
    const Utf8Step step = NextUtf8(text.substr(at, 4));
    if (step.kind != Utf8Prefix::kChar) return at;
    at += step.size;
  }
  return std::nullopt;
}

}  // namespace banyan
