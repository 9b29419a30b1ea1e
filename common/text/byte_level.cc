#include "common/text/byte_level.h"

#include <array>
#include <cstdint>

#include "common/text/unicode.h"

namespace banyan {
namespace {

constexpr int kNumSpellings = 0x144;  // the last is U+0143

constexpr bool StandsForItself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

// Byte by code point; -1: spells none.
constexpr std::array<int16_t, kNumSpellings> MakeByteBySpelling() {
  std::array<int16_t, kNumSpellings> bytes{};
  for (int16_t& byte : bytes) byte = -1;
  size_t next = 0x100;
  for (int16_t byte = 0; byte < 256; ++byte) {
    bytes[StandsForItself(byte) ? static_cast<size_t>(byte) : next++] = byte;
  }
  return bytes;
}
constexpr std::array<int16_t, kNumSpellings> kByteBySpelling = MakeByteBySpelling();

}  // namespace

bool AppendSpelledBytes(std::string_view spelled, std::string& out) {
  const size_t size_before = out.size();
  for (size_t at = 0; at < spelled.size();) {
    const DecodedChar c = DecodeChar(spelled.data() + at);
    at += c.size;
    const int16_t byte = c.code < kNumSpellings ? kByteBySpelling[c.code] : int16_t{-1};
    if (byte < 0) {
      out.resize(size_before);
      return false;
    }
    out.push_back(static_cast<char>(byte));
  }
  return true;
}

}  // namespace banyan
