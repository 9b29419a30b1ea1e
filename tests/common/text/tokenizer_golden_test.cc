// All vocabularies that are kept here, against Hugging Face tokenizers.
#include "tests/common/text/tokenizer_golden.h"

namespace banyan {
namespace {

class TokenizerGoldenTest : public ::testing::TestWithParam<const char*> {};

TEST_P(TokenizerGoldenTest, AgreesWithHuggingFace) {
  const std::string name = GetParam();
  const std::string json =
      testing::ReadGzip(testing::GoldenDir() / "tokenizers" / name / "tokenizer.json.gz");
  const auto tokenizer = Tokenizer::Load({{{"tokenizer.json", json}}});
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  testing::ExpectGoldenCases(**tokenizer, name);
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, TokenizerGoldenTest,
                         ::testing::Values("smollm2", "smollm2_added", "gpt2", "qwen3",
                                           "mistral_v1", "mistral_v3"),
                         [](const auto& vocabulary) { return std::string(vocabulary.param); });

}  // namespace
}  // namespace banyan
