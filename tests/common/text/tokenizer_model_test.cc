// Vocabularies whose licence or size keeps them out of the tree, where they have been fetched to
// the cache (deploy/toolchain/fetch_tokenizers.py, and the SmolLM2 model). Skipped where absent.
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tests/common/text/tokenizer_golden.h"

namespace banyan {
namespace {

std::filesystem::path CacheDir() {
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home == nullptr ? "." : home) / ".cache" / "banyan";
}

// Empty when there is no such file.
std::string ReadHead(const std::filesystem::path& path, size_t bytes_max) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(bytes_max, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes_max));
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

class FetchedTokenizerTest : public ::testing::TestWithParam<const char*> {};

TEST_P(FetchedTokenizerTest, AgreesWithHuggingFace) {
  const std::string name = GetParam();
  const std::string json = ReadHead(CacheDir() / "tokenizers" / name / "tokenizer.json", 64u << 20);
  ASSERT_FALSE(json.empty()) << name << ": deploy/toolchain/fetch_tokenizers.py fetches it";
  const auto tokenizer = Tokenizer::Load({{{"tokenizer.json", json}}});
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  testing::ExpectGoldenCases(**tokenizer, name);
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, FetchedTokenizerTest,
                         ::testing::Values("llama3_1", "llama2"),
                         [](const auto& vocabulary) { return std::string(vocabulary.param); });

TEST(GgufTokenizerTest, AgreesWithTheTokenizerJsonOfTheSameModel) {
  const std::string head =
      ReadHead(CacheDir() / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf", 4u << 20);
  ASSERT_FALSE(head.empty()) << "deploy/toolchain/fetch_model.py fetches the model";
  const auto tokenizer = Tokenizer::Load({{{std::string(kGgufHeaderAsset), head}}});
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  testing::ExpectGoldenCases(**tokenizer, "smollm2");
}

}  // namespace
}  // namespace banyan
