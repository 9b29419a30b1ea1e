// The default model: its metadata and the values of all its tensors against hashes made with the
// gguf library.
#include <gtest/gtest.h>
#include <openssl/sha.h>
#include <simdjson.h>

#include "absl/strings/str_format.h"
#include "common/checkpoint/checkpoint.h"
#include "common/checkpoint/gguf_header.h"
#include "common/checkpoint/mapped_file.h"
#include "common/checkpoint/tensor_encoding.h"
#include "tests/testing/model_path.h"
#include "tests/testing/paths.h"

namespace banyan {
namespace {

std::string Sha256Hex(const std::vector<float>& values) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(values.data()), values.size() * sizeof(float),
         digest);
  std::string hex;
  for (const unsigned char byte : digest) hex += absl::StrFormat("%02x", byte);
  return hex;
}

TEST(SmolLm2Test, EveryTensorDecodesToTheGoldenValues) {
  const auto file = MappedFile::Open(testing::DefaultModelPath());
  ASSERT_TRUE(file.ok()) << file.status() << " (deploy/toolchain/fetch_model.py fetches it)";
  const auto header = GgufHeader::Parse((*file)->bytes(), "model");
  ASSERT_TRUE(header.ok()) << header.status();
  simdjson::dom::parser parser;
  simdjson::dom::element golden;
  ASSERT_EQ(parser.load((testing::GoldenDir() / "smollm2" / "gguf.json").string()).get(golden),
            simdjson::SUCCESS);
  size_t num_tensors = 0;
  simdjson::dom::array entries;
  ASSERT_EQ(golden["tensors"].get_array().get(entries), simdjson::SUCCESS);
  for (const simdjson::dom::element entry : entries) {
    std::string_view name;
    std::string_view sha256;
    ASSERT_EQ(entry["name"].get_string().get(name), simdjson::SUCCESS);
    ASSERT_EQ(entry["sha256_f32"].get_string().get(sha256), simdjson::SUCCESS);
    const auto info = std::ranges::find(header->tensors(), name, &GgufTensorInfo::name);
    ASSERT_NE(info, header->tensors().end()) << name;
    TensorView tensor{.name = std::string(name),
                      .encoding = *EncodingOfGgmlType(info->ggml_type),
                      .shape = info->shape};
    tensor.data = (*file)->bytes().subspan(header->data_offset() + info->offset);
    std::vector<float> values(static_cast<size_t>(tensor.rows() * tensor.cols()));
    ASSERT_TRUE(DequantizeRows(tensor, 0, tensor.rows(), values.data()).ok());
    ASSERT_EQ(Sha256Hex(values), sha256) << name;
    ++num_tensors;
  }
  EXPECT_EQ(num_tensors, 272u);
}

TEST(SmolLm2Test, ConfigurationIsThePublishedOne) {
  const auto checkpoint = Checkpoint::Open(testing::DefaultModelPath());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const ModelConfig& config = (*checkpoint)->config();
  EXPECT_EQ(config.num_layers, 30);
  EXPECT_EQ(config.num_heads, 9);
  EXPECT_EQ(config.num_kv_heads, 3);
  EXPECT_EQ(config.head_size, 64);
  EXPECT_EQ(config.context_length, 8192);
  EXPECT_EQ(config.rope_theta, 100000);
  EXPECT_TRUE(config.tied_embeddings);
  EXPECT_EQ((*checkpoint)->weight_format(), "q4_1");
}

}  // namespace
}  // namespace banyan
