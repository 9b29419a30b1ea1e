#include "common/text/nfc.h"

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <cstdlib>
#include <random>

#include "common/text/unicode.h"

namespace banyan {
namespace {

std::string ReferenceNfc(const std::string& text) {
  utf8proc_uint8_t* result = utf8proc_NFC(reinterpret_cast<const utf8proc_uint8_t*>(text.c_str()));
  std::string out(reinterpret_cast<const char*>(result));
  std::free(result);
  return out;
}

TEST(NfcTest, EqualsUtf8procOnRandomText) {
  constexpr char32_t kChars[] = {'a',    'e',    ' ',    0xE9,   0x301,  0x316,   0x323,
                                 0x1100, 0x1161, 0x11A8, 0xAC00, 0x212B, 0x1E0B,  0x2126,
                                 0x0958, 0x93C,  0x915,  0xFB1D, 0x4E2D, 0x1D15E, 0x1F600};
  std::mt19937 random(5);
  for (int trial = 0; trial < 2000; ++trial) {
    std::string text;
    for (size_t i = random() % 12 + 1; i > 0; --i) {
      AppendUtf8(kChars[random() % std::size(kChars)], text);
    }
    std::vector<uint32_t> sources;
    const std::string result = ToNfc(text, &sources);
    ASSERT_EQ(result, ReferenceNfc(text));
    ASSERT_EQ(sources.size(), result.size());
    if (IsSurelyNfc(text)) {
      ASSERT_EQ(result, text);
    }
  }
}

// utf8proc's own ordering would need a day for this.
TEST(NfcTest, OrdersAMillionMarks) {
  std::string text = "a";
  constexpr int kNumPairs = 500'000;
  for (int i = 0; i < kNumPairs; ++i) text += "\u0301\u0316";
  const std::string result = ToNfc(text, nullptr);
  // All marks of class 220 come before those of class 230; the a takes one acute.
  EXPECT_TRUE(result.starts_with("\u00E1\u0316\u0316"));
  EXPECT_TRUE(result.ends_with("\u0301\u0301"));
}

}  // namespace
}  // namespace banyan
