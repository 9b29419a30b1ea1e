#include "common/checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "common/checkpoint/hf_config.h"
#include "common/checkpoint/mapped_file.h"
#include "common/checkpoint/safetensors.h"
#include "tests/common/checkpoint/gguf_builder.h"
#include "tests/testing/paths.h"

namespace banyan {
namespace {

using testing::GgufBuilder;
using testing::GoldenDir;
using ::testing::HasSubstr;
using testing::ScratchFile;

std::vector<std::filesystem::path> GoldenModels() {
  std::vector<std::filesystem::path> models;
  for (const auto& entry : std::filesystem::directory_iterator(GoldenDir() / "models")) {
    if (entry.is_directory()) models.push_back(entry.path());
  }
  return models;
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(CheckpointTest, OpensEveryGoldenModelAndBothConfigFormsSayTheSame) {
  const auto models = GoldenModels();
  ASSERT_EQ(models.size(), 18u);
  for (const auto& path : models) {
    SCOPED_TRACE(path.filename());
    const auto checkpoint = Checkpoint::Open(path);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    const ModelConfig& config = (*checkpoint)->config();
    const auto text = ReadSmallFile(path / "config_v5.json", 1 << 20);
    ASSERT_TRUE(text.ok());
    const auto v5 = ParseHfConfig(*text, "config_v5.json");
    ASSERT_TRUE(v5.ok()) << v5.status();
    EXPECT_EQ(config.architecture, v5->architecture);
    EXPECT_EQ(config.rope_theta, v5->rope_theta);
    EXPECT_EQ(config.rope_scaling.type, v5->rope_scaling.type);
    EXPECT_EQ(config.rope_scaling.factor, v5->rope_scaling.factor);
    EXPECT_EQ(config.rope_scaling.original_context_length,
              v5->rope_scaling.original_context_length);
    EXPECT_EQ(config.sliding_window, v5->sliding_window);
    EXPECT_EQ(config.num_kv_heads, v5->num_kv_heads);
    EXPECT_EQ(config.head_size, v5->head_size);
    EXPECT_EQ(config.tied_embeddings, v5->tied_embeddings);
    EXPECT_THAT(config.eos_token_ids, ::testing::ElementsAre(2));
    EXPECT_NE((*checkpoint)->FindTensor("model.norm.weight"), nullptr);
    EXPECT_EQ((*checkpoint)->FindTensor("model.nothing"), nullptr);
  }
}

TEST(CheckpointTest, SpecialKeysOfTheArchitecturesAreRead) {
  const auto swa = Checkpoint::Open(GoldenDir() / "models" / "mistral_swa");
  ASSERT_TRUE(swa.ok());
  EXPECT_THAT((*swa)->config().sliding_window, ::testing::Each(16));
  const auto yarn = Checkpoint::Open(GoldenDir() / "models" / "qwen3_tied_yarn");
  ASSERT_TRUE(yarn.ok());
  EXPECT_EQ((*yarn)->config().rope_scaling.type, RopeScalingType::kYarn);
  EXPECT_TRUE((*yarn)->config().tied_embeddings);
  EXPECT_THAT((*yarn)->config().sliding_window, ::testing::Each(0));
  const auto bf16 = Checkpoint::Open(GoldenDir() / "models" / "llama_bf16");
  ASSERT_TRUE(bf16.ok());
  EXPECT_EQ((*bf16)->weight_format(), "bf16");
}

TEST(CheckpointTest, MissingPathAndOtherFilesAreRefusedInOneSentence) {
  EXPECT_EQ(Checkpoint::Open("/nowhere/model.gguf").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Message(Checkpoint::Open(GoldenDir()).status()),
              HasSubstr("with config.json, found none"));
  EXPECT_THAT(Message(Checkpoint::Open(GoldenDir() / "README.md").status()),
              HasSubstr("this is no GGUF file"));
}

TEST(CheckpointTest, TinyGgufOpensAndUnpermutesItsQueryRows) {
  ScratchFile file;
  std::string bytes = GgufBuilder::TinyLlama().FileBytes();
  file.Write(bytes);
  const auto checkpoint = Checkpoint::Open(file.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_TRUE((*checkpoint)->config().tied_embeddings);
  EXPECT_EQ((*checkpoint)->config().vocabulary_size, 5);
  const TensorView* q = (*checkpoint)->FindTensor("model.layers.0.self_attn.q_proj.weight");
  ASSERT_NE(q, nullptr);
  ASSERT_EQ(q->row_order, RowOrder::kInterleavedPairs);
  ASSERT_NE((*checkpoint)->text_assets().Find("gguf-header"), nullptr);

  // Stored rows 0, 1, 2, 3 of a head are its half-split rows 0, 2, 1, 3.
  std::vector<float> stored(64);
  for (size_t i = 0; i < stored.size(); ++i) stored[i] = static_cast<float>(i / 8);
  TensorView tensor = *q;
  tensor.data = std::as_bytes(std::span(stored));
  std::vector<float> rows(64);
  ASSERT_TRUE(DequantizeRows(tensor, 0, 8, rows.data()).ok());
  std::vector<float> first;
  for (size_t row = 0; row < 8; ++row) first.push_back(rows[row * 8]);
  EXPECT_THAT(first, ::testing::ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
  // A bias is permuted by element.
  tensor.shape = {8};
  stored = {0, 1, 2, 3, 4, 5, 6, 7};
  tensor.data = std::as_bytes(std::span(stored));
  ASSERT_TRUE(DequantizeRows(tensor, 0, 1, rows.data()).ok());
  EXPECT_THAT(std::span(rows).first(8), ::testing::ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
}

TEST(CheckpointTest, MissingExtraAndMisshapedTensorsAreNamed) {
  ScratchFile file;
  GgufBuilder extra = GgufBuilder::TinyLlama();
  extra.AddTensor("blk.1.attn_q.weight", {8, 8});
  file.Write(extra.FileBytes());
  EXPECT_THAT(Message(Checkpoint::Open(file.path()).status()),
              HasSubstr("tensor model.layers.1.self_attn.q_proj.weight: expected a tensor of a "
                        "llama model of 1 layers"));
  GgufBuilder more_layers = GgufBuilder::TinyLlama();
  std::string bytes = more_layers.FileBytes();
  const size_t at =
      bytes.find("llama.block_count") + std::string_view("llama.block_count").size() + 4;
  bytes[at] = 2;
  file.Write(bytes);
  EXPECT_THAT(Message(Checkpoint::Open(file.path()).status()),
              HasSubstr("found nothing (9 tensors are missing)"));
}

TEST(CheckpointTest, TensorsPastTheEndAndOverlapsAreRefused) {
  ScratchFile file;
  const std::string good = GgufBuilder::TinyLlama().FileBytes();
  file.Write(good.substr(0, good.size() - 64));
  EXPECT_THAT(Message(Checkpoint::Open(file.path()).status()),
              HasSubstr("bytes of tensor data in the file"));
  GgufBuilder overlap = GgufBuilder::TinyLlama();
  overlap.Tensor("output.weight", {8, 5}, 0, 32);
  file.Write(overlap.FileBytes());
  EXPECT_THAT(Message(Checkpoint::Open(file.path()).status()), HasSubstr("an overlap with"));
}

TEST(HfConfigTest, BadValuesNameFileKeyExpectedAndFound) {
  const std::string good =
      R"({"model_type":"llama","vocab_size":10,"hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,)"
      R"("num_attention_heads":2,"max_position_embeddings":32)";
  ASSERT_TRUE(ParseHfConfig(good + "}", "config.json").ok());
  struct Case {
    const char* extra;
    const char* expected;
  };
  for (const Case& test : std::initializer_list<Case>{
           {R"("num_key_value_heads":3)",
            "config.json: num_key_value_heads: expected an integer in [1, 2], found 3"},
           {R"("num_key_value_heads":0)", "num_key_value_heads"},
           {R"("head_dim":7)", "head_size: expected an even number, found 7"},
           {R"("head_dim":4096)", "head_size: expected an integer in [2, 256], found 4096"},
           {R"("rms_norm_eps":"x")", "rms_norm_eps: expected a number, found \"x\""},
           {R"("rope_scaling":{"type":"longrope"})",
            "rope_scaling.rope_type: expected default, linear"},
           {R"("rope_scaling":{"type":"llama3","factor":0})",
            "rope_scaling.factor: expected a number in [1, 1e+06]"},
           {R"("quantization_config":{"quant_method":"gptq"})", "quantization_config: quantized"},
           {R"("hidden_act":"gelu")", "hidden_act: expected silu, found gelu"},
           {R"("eos_token_id":[1,99])", "eos_token_id: expected an integer in [0, 9], found 99"},
           {R"("eos_token_id":-1)", "eos_token_id"},
           {R"("bos_token_id":10)", "bos_token_id: expected an id below vocab_size, found 10"},
       }) {
    SCOPED_TRACE(test.extra);
    EXPECT_THAT(Message(ParseHfConfig(good + "," + test.extra + "}", "config.json").status()),
                HasSubstr(test.expected));
  }
  EXPECT_THAT(Message(ParseHfConfig("{}", "config.json").status()),
              HasSubstr("model_type: expected a string"));
  EXPECT_THAT(Message(ParseHfConfig(R"({"model_type":"gpt2"})", "c").status()),
              HasSubstr("found \"gpt2\""));
  EXPECT_THAT(Message(ParseHfConfig("{\"a\":", "c").status()), HasSubstr("not valid JSON"));
  EXPECT_FALSE(ParseHfConfig(std::string(100'000, '['), "c").ok());
}

std::string Safetensors(const std::string& header, size_t data_bytes) {
  const uint64_t size = header.size();
  std::string out(reinterpret_cast<const char*>(&size), sizeof(size));
  return out + header + std::string(data_bytes, '\0');
}

absl::Status Read(const std::string& bytes, std::vector<TensorView>& tensors) {
  return ReadSafetensors(std::as_bytes(std::span(bytes)), "m.safetensors", tensors);
}

TEST(SafetensorsTest, TruncationAtEveryByteAndEveryCorruptionIsSurvived) {
  const std::string good = Safetensors(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[1,3],"data_offsets":[8,14]}})",
      14);
  std::vector<TensorView> tensors;
  ASSERT_TRUE(Read(good, tensors).ok());
  ASSERT_EQ(tensors.size(), 2u);
  for (size_t size = 0; size < good.size(); ++size) {
    tensors.clear();
    ASSERT_FALSE(Read(good.substr(0, size), tensors).ok()) << size;
  }
  for (size_t i = 0; i < good.size() - 14; ++i) {
    for (const int value : {0x00, 0x20, 0x30, 0x39, 0x7f, 0xff}) {
      std::string bad = good;
      bad[i] = static_cast<char>(value);
      tensors.clear();
      if (const absl::Status status = Read(bad, tensors); !status.ok()) {
        ASSERT_FALSE(status.message().empty());
      }
    }
  }
}

TEST(SafetensorsTest, LyingHeadersNameTensorExpectedAndFound) {
  struct Case {
    const char* header;
    const char* expected;
  };
  for (const Case& test : std::initializer_list<Case>{
           {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})",
            "a.data_offsets: expected 12 bytes by dtype"},
           {R"({"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}})",
            "a.dtype: expected F32, F16"},
           {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})",
            "a.shape: expected integers of at least 0"},
           {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})",
            "a.data_offsets: expected two ascending"},
           {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
            "a.data_offsets: expected two ascending"},
           {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
            "data: expected 4 bytes, found 8"},
           {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
            "a: expected data at offset 0, found 4"},
           {R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})",
            "bytes by dtype and shape"},
           {R"({"a":7})", "a: expected an object, found 7"},
           {R"([])", "expected a JSON object"},
       }) {
    SCOPED_TRACE(test.header);
    std::vector<TensorView> tensors;
    EXPECT_THAT(Message(Read(Safetensors(test.header, 8), tensors)), HasSubstr(test.expected));
  }
}

TEST(SafetensorsTest, IndexMayNotLeadOutOfTheDirectory) {
  const std::filesystem::path source = GoldenDir() / "models" / "llama_sharded";
  const std::filesystem::path copy = std::filesystem::temp_directory_path() / "banyan_index_test";
  std::filesystem::remove_all(copy);
  std::filesystem::create_directory(copy);
  std::filesystem::copy_file(source / "config.json", copy / "config.json");
  std::ofstream(copy / "model.safetensors.index.json")
      << R"({"weight_map":{"a":"../secret.safetensors"}})";
  EXPECT_THAT(Message(Checkpoint::Open(copy).status()),
              HasSubstr("weight_map.a: expected the name of a file in this directory"));
  std::filesystem::remove_all(copy);
}

}  // namespace
}  // namespace banyan
