// Files that lie in ways that once reached memory, hid a missing weight or changed a number.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "common/checkpoint/checkpoint.h"
#include "common/checkpoint/expected_tensors.h"
#include "common/checkpoint/gguf_config.h"
#include "common/checkpoint/hf_config.h"
#include "tests/common/checkpoint/gguf_builder.h"
#include "tests/testing/paths.h"

namespace banyan {
namespace {

using testing::GgufBuilder;
using ::testing::HasSubstr;
using testing::ScratchFile;

std::string OpenMessage(const std::string& bytes) {
  ScratchFile file;
  file.Write(bytes);
  return std::string(Checkpoint::Open(file.path()).status().message());
}

absl::StatusOr<ModelConfig> ConfigOf(const GgufBuilder& builder) {
  const std::string bytes = builder.HeaderBytes();
  const auto header = GgufHeader::Parse(std::as_bytes(std::span(bytes)), "tiny.gguf");
  if (!header.ok()) return header.status();
  return ParseGgufConfig(*header, "tiny.gguf");
}

TEST(HostileGgufTest, PaddingBeyondTheEndOfAFileWithoutTensorsIsNotRead) {
  GgufBuilder builder;
  builder.String("general.architecture", "llama");
  for (const char* key : {"block_count", "attention.head_count", "attention.head_count_kv"}) {
    builder.Uint32(std::string("llama.") + key, 1);
  }
  for (const char* key :
       {"embedding_length", "feed_forward_length", "context_length", "vocab_size"}) {
    builder.Uint32(std::string("llama.") + key, 8);
  }
  builder.Float32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  builder.Uint32("general.alignment", 1 << 20);
  EXPECT_THAT(OpenMessage(builder.HeaderBytes()), HasSubstr("tensors are missing"));
}

TEST(HostileGgufTest, LongAndUnprintableKeysStayOutOfErrors) {
  GgufBuilder twice;
  const std::string key = std::string(40'000, 'k') + '\x01';
  twice.Uint32(key, 1);
  twice.Uint32(key, 1);
  const std::string message = OpenMessage(twice.HeaderBytes());
  EXPECT_THAT(message, HasSubstr("it twice"));
  EXPECT_LT(message.size(), 400u);
  GgufBuilder longer;
  longer.Uint32(std::string(70'000, 'k'), 1);
  EXPECT_THAT(OpenMessage(longer.HeaderBytes()),
              HasSubstr("metadata key: expected 1 to 65535 bytes, found 70000"));
}

TEST(HostileGgufTest, ABiasOfSomeLayersOnlyIsRefused) {
  ModelConfig config;
  config.num_layers = 2;
  config.hidden_size = config.head_size = 8;
  config.num_heads = config.num_kv_heads = 1;
  TensorView bias;
  bias.name = "model.layers.1.self_attn.q_proj.bias";
  bias.shape = {8};
  EXPECT_THAT(std::string(CheckTensors(config, std::span(&bias, 1), "f").message()),
              HasSubstr("expected one in each of 2 layers, or none, found 1"));
}

TEST(HostileHfTest, BiasesThatConfigJsonPromisesAreRequired) {
  const std::filesystem::path source = testing::GoldenDir() / "models" / "llama_mha";
  const std::filesystem::path directory =
      std::filesystem::path(::testing::TempDir()) / "promised_bias";
  std::filesystem::create_directories(directory);
  std::filesystem::copy_file(source / "model.safetensors", directory / "model.safetensors",
                             std::filesystem::copy_options::overwrite_existing);
  std::ifstream in(source / "config.json");
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  for (const std::string key : {"\"attention_bias\": ", "\"mlp_bias\": "}) {
    std::string changed = text;
    const size_t at = changed.find(key + "false");
    ASSERT_NE(at, std::string::npos);
    changed.replace(at + key.size(), 5, "true");
    std::ofstream(directory / "config.json") << changed;
    EXPECT_THAT(std::string(Checkpoint::Open(directory).status().message()),
                HasSubstr(".bias: expected shape"))
        << key;
  }
  std::filesystem::remove_all(directory);
}

TEST(HostileHfTest, APathThatCannotBeLookedAtIsAnErrorAndNoException) {
  const std::filesystem::path path(std::string(5'000, 'x'));
  EXPECT_FALSE(Checkpoint::Open(path).ok());
}

TEST(GgufConfigTest, YarnAttentionFactorComesOnTopOfYarnsOwn) {
  GgufBuilder builder = GgufBuilder::TinyLlama();
  builder.String("llama.rope.scaling.type", "yarn");
  builder.Float32("llama.rope.scaling.factor", 4);
  builder.Float32("llama.rope.scaling.attn_factor", 2);
  const auto config = ConfigOf(builder);
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_TRUE(config->rope_scaling.attention_factor.has_value());
  EXPECT_NEAR(*config->rope_scaling.attention_factor, 2 * (1 + 0.1 * std::log(4.0)), 1e-12);
}

TEST(GgufConfigTest, OldLinearScalingKeyIsRead) {
  GgufBuilder builder = GgufBuilder::TinyLlama();
  builder.Float32("llama.rope.scale_linear", 4);
  const auto config = ConfigOf(builder);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->rope_scaling.type, RopeScalingType::kLinear);
  EXPECT_EQ(config->rope_scaling.factor, 4);
}

}  // namespace
}  // namespace banyan
