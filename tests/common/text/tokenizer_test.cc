// Rules of the tokenizer on a vocabulary of a few tokens.
#include "common/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_replace.h"
#include "common/text/detokenizer.h"

namespace banyan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Characters a, b, c, blank, three bytes of U+20AC (spelled), "ab", and two added tokens.
constexpr char kJson[] = R"({
  "added_tokens": [
    {"id": 8, "content": "<s>", "special": true, "normalized": false},
    {"id": 9, "content": "<t>", "special": false, "normalized": false}],
  "normalizer": null,
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
  "post_processor": {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [8], "tokens": ["<s>"]}}},
  "decoder": {"type": "ByteLevel"},
  "model": {"type": "BPE", "unk_token": null,
    "vocab": {"a": 0, "b": 1, "c": 2, "Ġ": 3, "â": 4, "Ĥ": 5, "¬": 6, "ab": 7},
    "merges": ["a b"]}})";

TextAssets Assets(std::string json) { return {{{"tokenizer.json", std::move(json)}}}; }

class TokenizerTest : public ::testing::Test {
 protected:
  std::vector<TokenId> Encode(std::string_view text, std::span<const TextSpan> plain = {}) {
    return tokenizer_->Encode(text, AddSpecialTokens::kNo, plain).value();
  }
  std::unique_ptr<Tokenizer> tokenizer_ = Tokenizer::Load(Assets(kJson)).value();
};

TEST_F(TokenizerTest, MergesWordsAndAddsTheTemplate) {
  EXPECT_THAT(Encode("abc a"), ElementsAre(7, 2, 3, 0));
  EXPECT_THAT(tokenizer_->Encode("b", AddSpecialTokens::kYes).value(), ElementsAre(8, 1));
  EXPECT_THAT(Encode(""), ElementsAre());
}

TEST_F(TokenizerTest, TakesSpecialTokensAsTextWhereTheyTouchPlainText) {
  const TextSpan last_byte[] = {{2, 3}};
  const TextSpan after[] = {{3, 4}};
  EXPECT_THAT(Encode("<s>a"), ElementsAre(8, 0));
  EXPECT_THAT(Encode("<s>a", after), ElementsAre(8, 0));
  // '<', 's' and '>' are no tokens and vanish.
  EXPECT_THAT(Encode("<s>a", last_byte), ElementsAre(0));
  EXPECT_THAT(Encode("<t>a", last_byte), ElementsAre(9, 0));
}

TEST_F(TokenizerTest, RefusesInvalidUtf8WithItsOffset) {
  const auto result = tokenizer_->Encode("ab\xFF", AddSpecialTokens::kNo);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("offset 2"));
}

TEST_F(TokenizerTest, KnowsItsTokens) {
  EXPECT_EQ(tokenizer_->vocabulary_size(), 10);
  EXPECT_EQ(tokenizer_->FindToken("<s>"), 8);
  EXPECT_EQ(tokenizer_->FindToken("ab"), 7);
  EXPECT_EQ(tokenizer_->FindToken("abc"), std::nullopt);
  EXPECT_EQ(tokenizer_->TokenBytes(5), "\x82");
  EXPECT_TRUE(tokenizer_->IsSpecial(8));
  EXPECT_FALSE(tokenizer_->IsSpecial(9));
  EXPECT_EQ(tokenizer_->TokenBytes(10), "");
}

TEST_F(TokenizerTest, DetokenizerHoldsHalfACharacterBack) {
  Detokenizer detokenizer(*tokenizer_, SpecialTokensInOutput::kDrop);
  EXPECT_EQ(detokenizer.Push(0), "a");
  EXPECT_EQ(detokenizer.Push(4), "");
  EXPECT_EQ(detokenizer.Push(8), "");  // dropped: does not break the character
  EXPECT_EQ(detokenizer.Push(5), "");
  EXPECT_EQ(detokenizer.Push(6), "\u20AC");
  EXPECT_EQ(detokenizer.Push(4), "");
  EXPECT_EQ(detokenizer.Push(0), "\uFFFDa");
  EXPECT_EQ(detokenizer.Push(4), "");
  EXPECT_EQ(detokenizer.Flush(), "\uFFFD");
}

TEST_F(TokenizerTest, DetokenizerJoinedIsDecodeForAnyIds) {
  uint32_t state = 1;
  for (int trial = 0; trial < 500; ++trial) {
    std::vector<TokenId> ids(40);
    for (TokenId& id : ids) {
      state = state * 1664525 + 1013904223;
      id = static_cast<TokenId>(state >> 16) % 12 - 1;  // out of range at both ends, too
    }
    Detokenizer detokenizer(*tokenizer_, SpecialTokensInOutput::kKeep);
    std::string joined;
    for (const TokenId id : ids) joined += detokenizer.Push(id);
    joined += detokenizer.Flush();
    EXPECT_EQ(joined, tokenizer_->Decode(ids, SpecialTokensInOutput::kKeep));
  }
}

struct BadFile {
  const char* from;
  const char* to;
  const char* message;
};

TEST(TokenizerLoadTest, RefusesWhatItDoesNotKnowWithKeyAndValue) {
  const BadFile files[] = {
      {"\"BPE\"", "\"WordPiece\"", "model.type: expected \"BPE\", found WordPiece"},
      {"\"ab\": 7", "\"ab\": 6", "model.vocab.ab: expected an id of its own"},
      {"\"ab\": 7", "\"ab\": 99999999", "model.vocab.ab: expected an id below"},
      {"\"a b\"", "\"a q\"", "model.merges[0]: expected tokens of the vocabulary"},
      {"\"a b\"", "\"a b c\"", "model.merges[0]: expected \"left right\""},
      {"\"normalizer\": null", "\"normalizer\": {\"type\": \"Lowercase\"}",
       "normalizer.type: expected NFC"},
      {"{\"type\": \"ByteLevel\", \"add_prefix_space\"",
       "{\"type\": \"BertPreTokenizer\", \"add_prefix_space\"", "pre_tokenizer.type: expected"},
      {"\"ids\": [8]", "\"ids\": [80]", "post_processor: expected ids below 10, found 80"},
      {"\"id\": 9", "\"id\": 8", "added_tokens[1].content: expected a token that is not there"},
      {"\"id\": 9", "\"id\": 7", "added_tokens[1].content: expected token 7"},
      {"\"decoder\": {\"type\": \"ByteLevel\"}", "\"decoder\": null", "decoder: expected"},
      {"\"unk_token\": null", "\"unk_token\": \"?\"", "model.unk_token: expected a token"},
      {"\"unk_token\": null", "\"dropout\": 0.1", "model.dropout: expected nothing"},
  };
  for (const BadFile& file : files) {
    const std::string json = absl::StrReplaceAll(kJson, {{file.from, file.to}});
    ASSERT_NE(json, kJson) << file.from;
    const auto tokenizer = Tokenizer::Load(Assets(json));
    ASSERT_FALSE(tokenizer.ok()) << file.to;
    const std::string message(tokenizer.status().message());
    EXPECT_THAT(message, HasSubstr("tokenizer.json: "));
    EXPECT_THAT(message, HasSubstr(file.message));
  }
  EXPECT_FALSE(Tokenizer::Load({}).ok());
}

TEST(TokenizerLoadTest, NamesAnUnknownRegularExpression) {
  const std::string json = absl::StrReplaceAll(
      kJson, {{R"({"type": "ByteLevel", "add_prefix_space": false, "use_regex": true})",
               R"({"type": "Split", "pattern": {"Regex": "x+"}, "behavior": "Isolated"})"}});
  const auto tokenizer = Tokenizer::Load(Assets(json));
  EXPECT_THAT(std::string(tokenizer.status().message()),
              HasSubstr("pre_tokenizer.pattern.Regex: expected"));
  EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr("found x+"));
}

}  // namespace
}  // namespace banyan
