#include "common/text/word_splitter.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/testing/gzip.h"
#include "tests/testing/paths.h"

namespace banyan {
namespace {

std::vector<std::string> Split(SplitRule rule, std::string_view text) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = WordEnd(rule, CharTable::Get(), text, begin);
    words.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

TEST(WordSplitterTest, CutsAsTheRegularExpressionsDo) {
  constexpr std::pair<const char*, SplitRule> kRules[] = {
      {"kGpt2", SplitRule::kGpt2},
      {"kCl100kOne", SplitRule::kCl100kOne},
      {"kCl100kThree", SplitRule::kCl100kThree},
      {"kO200k", SplitRule::kO200k},
      {"kTekken", SplitRule::kTekken},
  };
  const std::string lines =
      testing::ReadGzip(testing::GoldenDir() / "tokenizers" / "splits.jsonl.gz");
  simdjson::dom::parser parser;
  int num_cases = 0;
  for (size_t begin = 0; begin < lines.size(); ++num_cases) {
    const size_t end = lines.find('\n', begin);
    const simdjson::dom::element line =
        parser.parse(simdjson::padded_string(lines.substr(begin, end - begin)));
    const std::string_view text = line["text"];
    for (const auto& [name, rule] : kRules) {
      std::vector<std::string> expected;
      for (const std::string_view word : line[name]) expected.emplace_back(word);
      EXPECT_EQ(Split(rule, text), expected) << name << ": " << text;
    }
    begin = end + 1;
  }
  EXPECT_EQ(num_cases, 400);
}

TEST(WordSplitterTest, CutsDigitsAndBlankMarks) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(Split(SplitRule::kDigitsEach, "ab12c"), (Words{"ab", "1", "2", "c"}));
  EXPECT_EQ(Split(SplitRule::kDigitRuns, "ab12c"), (Words{"ab", "12", "c"}));
  EXPECT_EQ(Split(SplitRule::kBlankMark, "a▁▁b"), (Words{"a", "▁", "▁b"}));
  EXPECT_EQ(Split(SplitRule::kBlankMarkRuns, "a▁▁b"), (Words{"a", "▁▁b"}));
}

TEST(WordSplitterTest, RefusesAnUnknownRegularExpression) {
  EXPECT_EQ(FindSplitRule(R"(\p{L}+)"), std::nullopt);
}

}  // namespace
}  // namespace banyan
