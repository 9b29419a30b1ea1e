// Compares a tokenizer with the recorded results of Hugging Face tokenizers.
#pragma once

#include <gtest/gtest.h>
#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/text/detokenizer.h"
#include "common/text/tokenizer.h"
#include "tests/testing/gzip.h"
#include "tests/testing/paths.h"

namespace banyan::testing {

inline std::optional<std::vector<TokenId>> GoldenIds(simdjson::dom::element line,
                                                     std::string_view key) {
  simdjson::dom::array array;
  if (line.at_key(key).get_array().get(array) != simdjson::SUCCESS) return std::nullopt;
  std::vector<TokenId> ids;
  for (const int64_t id : array) ids.push_back(static_cast<TokenId>(id));
  return ids;
}

inline std::optional<std::string> GoldenText(simdjson::dom::element line, std::string_view key) {
  std::string_view text;
  if (line.at_key(key).get_string().get(text) != simdjson::SUCCESS) return std::nullopt;
  return std::string(text);
}

// The pieces of the stream are the recorded ones, and with Flush() the whole text. DecodeStream
// never releases a text that truly ends in U+FFFD: there only the whole is compared.
inline void ExpectStream(const Tokenizer& tokenizer, const std::vector<TokenId>& ids,
                         SpecialTokensInOutput special, simdjson::dom::element line,
                         std::string_view key) {
  Detokenizer detokenizer(tokenizer, special);
  std::vector<std::string> pieces;
  std::string whole;
  for (const TokenId id : ids) {
    pieces.push_back(detokenizer.Push(id));
    whole += pieces.back();
  }
  whole += detokenizer.Flush();
  const std::string decoded = tokenizer.Decode(ids, special);
  EXPECT_EQ(whole, decoded);
  simdjson::dom::array recorded;
  if (line.at_key(key).get_array().get(recorded) != simdjson::SUCCESS) return;
  if (decoded.find("\xEF\xBF\xBD") != std::string::npos) return;
  std::vector<std::string> expected;
  for (const std::string_view piece : recorded) expected.emplace_back(piece);
  EXPECT_EQ(pieces, expected);
}

inline void ExpectCase(const Tokenizer& tokenizer, simdjson::dom::element line) {
  using enum SpecialTokensInOutput;
  const std::string text = *GoldenText(line, "text");
  const std::vector<TokenId> ids = *GoldenIds(line, "ids");
  const auto encode = [&](AddSpecialTokens add, std::span<const TextSpan> plain) {
    return tokenizer.Encode(text, add, plain).value();
  };
  EXPECT_EQ(encode(AddSpecialTokens::kNo, {}), ids);
  if (const auto special = GoldenIds(line, "ids_special")) {
    EXPECT_EQ(encode(AddSpecialTokens::kYes, {}), *special);
    if (const auto decoded = GoldenText(line, "decoded_special")) {
      EXPECT_EQ(tokenizer.Decode(*special, kKeep), *decoded);
    }
  }
  if (const auto plain = GoldenIds(line, "ids_plain")) {
    const TextSpan all[] = {{0, text.size()}};
    EXPECT_EQ(encode(AddSpecialTokens::kNo, all), *plain);
  }
  EXPECT_EQ(tokenizer.Decode(ids, kKeep), *GoldenText(line, "decoded"));
  if (const auto skipped = GoldenText(line, "decoded_skip")) {
    EXPECT_EQ(tokenizer.Decode(ids, kDrop), *skipped);
  }
  ExpectStream(tokenizer, ids, kKeep, line, "stream");
  const bool same = line.at_key("stream_skip").error() != simdjson::SUCCESS;
  ExpectStream(tokenizer, ids, kDrop, line, same ? "stream" : "stream_skip");
}

// All recorded cases of the vocabulary `name`.
inline void ExpectGoldenCases(const Tokenizer& tokenizer, const std::string& name) {
  const std::string lines = ReadGzip(GoldenDir() / "tokenizers" / name / "cases.jsonl.gz");
  simdjson::dom::parser parser;
  int num_cases = 0;
  for (size_t begin = 0; begin < lines.size();) {
    const size_t end = std::min(lines.find('\n', begin), lines.size());
    if (end > begin) {
      const simdjson::dom::element line =
          parser.parse(simdjson::padded_string(lines.substr(begin, end - begin)));
      SCOPED_TRACE(name + " " + GoldenText(line, "name").value_or("?"));
      ExpectCase(tokenizer, line);
      ++num_cases;
    }
    begin = end + 1;
  }
  EXPECT_EQ(num_cases, 662);
}

}  // namespace banyan::testing
