#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>

#include "common/checkpoint/checkpoint.h"
#include "common/checkpoint/gguf_header.h"
#include "common/checkpoint/mapped_file.h"
#include "common/checkpoint/tensor_encoding.h"
#include "tests/common/checkpoint/gguf_builder.h"
#include "tests/testing/paths.h"

namespace banyan {
namespace {

using testing::GgufBuilder;
using testing::GoldenDir;
using ::testing::HasSubstr;
using testing::ScratchFile;

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

absl::StatusOr<GgufHeader> ParseText(const std::string& bytes) {
  return GgufHeader::Parse(std::as_bytes(std::span(bytes)), "test.gguf");
}

class GgufTypesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    bytes_ = ReadAll(GoldenDir() / "gguf" / "types.gguf");
    auto header = ParseText(bytes_);
    ASSERT_TRUE(header.ok()) << header.status();
    header_ = *std::move(header);
  }
  std::string bytes_;
  GgufHeader header_;
};

TEST_F(GgufTypesTest, EveryMetadataTypeIsRead) {
  EXPECT_EQ(**header_.Integer("t.u8"), 255);
  EXPECT_EQ(**header_.Integer("t.i8"), -128);
  EXPECT_EQ(**header_.Integer("t.u16"), 65535);
  EXPECT_EQ(**header_.Integer("t.i16"), -32768);
  EXPECT_EQ(**header_.Integer("t.u32"), 4294967295);
  EXPECT_EQ(**header_.Integer("t.i32"), -2147483648LL);
  EXPECT_EQ(**header_.Integer("t.i64"), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(**header_.Real("t.f32"), 0.1f);
  EXPECT_EQ(**header_.Real("t.f64"), 0.1);
  EXPECT_TRUE(**header_.Bool("t.true"));
  EXPECT_FALSE(**header_.Bool("t.false"));
  EXPECT_EQ(**header_.String("t.str"), std::string_view("é 你好 \n \0 end", 17));
  EXPECT_THAT(**header_.Integers("t.arr_i32"), ::testing::ElementsAre(1, -2, 3));
  EXPECT_THAT(**header_.Strings("t.arr_str"), ::testing::ElementsAre("a", "", "ü"));
  EXPECT_THAT(**header_.Floats("t.arr_f32"), ::testing::ElementsAre(0.5f, 1.5f));
}

TEST_F(GgufTypesTest, WrongTypeNamesKeyExpectedAndFound) {
  EXPECT_THAT(header_.Integer("t.u64").status().message(),
              HasSubstr("t.u64: expected an integer below 2^63"));
  EXPECT_THAT(header_.String("t.u8").status().message(),
              HasSubstr("t.u8: expected a string, found uint8"));
  EXPECT_THAT(header_.Floats("t.arr_i32").status().message(), HasSubstr("found array of int32"));
  EXPECT_FALSE(header_.Integer("absent")->has_value());
}

TEST_F(GgufTypesTest, EveryEncodingDecodesToTheGoldenBits) {
  int num_types = 0;
  for (const GgufTensorInfo& info : header_.tensors()) {
    const std::optional<TensorEncoding> encoding = EncodingOfGgmlType(info.ggml_type);
    const std::filesystem::path golden =
        GoldenDir() / "gguf" / (std::string(info.name.substr(2)) + ".f32");
    if (!encoding || !std::filesystem::exists(golden)) continue;
    SCOPED_TRACE(info.name);
    TensorView tensor{.name = std::string(info.name), .encoding = *encoding, .shape = info.shape};
    tensor.data = std::as_bytes(std::span(bytes_)).subspan(header_.data_offset() + info.offset);
    const std::string expected = ReadAll(golden);
    std::vector<float> values(expected.size() / sizeof(float));
    ASSERT_EQ(values.size(), 4u * 512u);
    ASSERT_TRUE(DequantizeRows(tensor, 0, 4, values.data()).ok());
    EXPECT_EQ(std::memcmp(values.data(), expected.data(), expected.size()), 0);
    // Rows by themselves are the same.
    std::vector<float> row(512);
    ASSERT_TRUE(DequantizeRows(tensor, 2, 3, row.data()).ok());
    EXPECT_EQ(std::memcmp(row.data(), values.data() + 2 * 512, 512 * sizeof(float)), 0);
    ++num_types;
  }
  EXPECT_EQ(num_types, 15);
}

TEST(GgufHeaderTest, TruncationAtEveryByteIsRefused) {
  const std::string bytes = GgufBuilder::TinyLlama().HeaderBytes();
  ASSERT_TRUE(ParseText(bytes).ok());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto header = ParseText(bytes.substr(0, size));
    ASSERT_FALSE(header.ok()) << size;
    ASSERT_THAT(header.status().message(), HasSubstr("test.gguf: "));
  }
}

TEST(GgufHeaderTest, EverySingleByteCorruptionIsSurvived) {
  const std::string good = GgufBuilder::TinyLlama().FileBytes();
  const size_t header_bytes = GgufBuilder::TinyLlama().HeaderBytes().size();
  ScratchFile file;
  for (size_t i = 0; i < header_bytes; ++i) {
    for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      std::string bad = good;
      bad[i] = static_cast<char>(value);
      // What matters is that it ends, with a status or a checkpoint, within bounds (sanitizers
      // watch).
      if (const auto header = ParseText(bad); header.ok() && i % 16 == 0) {
        file.Write(bad);
        const auto checkpoint = Checkpoint::Open(file.path());
        if (!checkpoint.ok()) {
          EXPECT_FALSE(checkpoint.status().message().empty());
        }
      }
    }
  }
}

TEST(GgufHeaderTest, LyingCountsAreRefusedBeforeAnythingIsAllocated) {
  std::string bytes = GgufBuilder::TinyLlama().HeaderBytes();
  const uint64_t huge = uint64_t{1} << 60;
  std::memcpy(bytes.data() + 8, &huge, sizeof(huge));  // tensor count
  EXPECT_THAT(ParseText(bytes).status().message(),
              HasSubstr("tensor count: expected tensors that fit"));
  bytes = GgufBuilder::TinyLlama().HeaderBytes();
  std::memcpy(bytes.data() + 16, &huge, sizeof(huge));  // metadata count
  EXPECT_THAT(ParseText(bytes).status().message(),
              HasSubstr("metadata count: expected entries that fit"));
}

TEST(GgufHeaderTest, BadHeadersNameWhatIsWrong) {
  EXPECT_THAT(ParseText("hello, this is no model").status().message(),
              HasSubstr("this is no GGUF file"));
  GgufBuilder twice = GgufBuilder::TinyLlama();
  twice.String("general.architecture", "llama");
  EXPECT_THAT(ParseText(twice.HeaderBytes()).status().message(),
              HasSubstr("expected each key once"));
  GgufBuilder alignment = GgufBuilder::TinyLlama();
  alignment.Uint32("general.alignment", 33);
  EXPECT_THAT(ParseText(alignment.HeaderBytes()).status().message(),
              HasSubstr("general.alignment: expected a power"));
  GgufBuilder wrapped = GgufBuilder::TinyLlama();
  wrapped.Tensor("wrap", {uint64_t{1} << 32, uint64_t{1} << 32}, 0, 0);
  EXPECT_THAT(ParseText(wrapped.HeaderBytes()).status().message(),
              HasSubstr("wrap: expected dimensions"));
}

}  // namespace
}  // namespace banyan
