#include "tests/testing/tiny_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace banyan::testing {
namespace {

namespace fs = std::filesystem;

class TinyModelTest : public ::testing::TestWithParam<Architecture> {
 protected:
  void SetUp() override { fs::remove_all(directory_); }
  void TearDown() override { fs::remove_all(directory_); }

  const fs::path directory_ = fs::path(::testing::TempDir()) /
                              ("banyan_tiny_model_" + std::to_string(static_cast<int>(GetParam())));
};

TEST_P(TinyModelTest, TheDirectoryReadsBackAsTheCheckpointInMemory) {
  const TinyModelOptions options{.architecture = GetParam(), .seed = 5, .num_layers = 3};
  ASSERT_TRUE(WriteTinyModel(options, directory_).ok());
  const auto on_disk = Checkpoint::Open(directory_);
  ASSERT_TRUE(on_disk.ok()) << on_disk.status();
  const auto in_memory = MakeTinyCheckpoint(options);

  const ModelConfig& a = (*on_disk)->config();
  const ModelConfig& b = in_memory->config();
  EXPECT_EQ(a.architecture, b.architecture);
  EXPECT_EQ(a.vocabulary_size, b.vocabulary_size);
  EXPECT_EQ(a.num_layers, b.num_layers);
  EXPECT_EQ(a.num_heads, b.num_heads);
  EXPECT_EQ(a.num_kv_heads, b.num_kv_heads);
  EXPECT_EQ(a.head_size, b.head_size);
  EXPECT_EQ(a.hidden_size, b.hidden_size);
  EXPECT_EQ(a.intermediate_size, b.intermediate_size);
  EXPECT_EQ(a.context_length, b.context_length);
  EXPECT_EQ(a.norm_epsilon, b.norm_epsilon);
  EXPECT_EQ(a.rope_theta, b.rope_theta);
  EXPECT_EQ(a.sliding_window, b.sliding_window);
  EXPECT_EQ(a.tied_embeddings, b.tied_embeddings);
  EXPECT_EQ(a.eos_token_ids, b.eos_token_ids);

  ASSERT_EQ((*on_disk)->tensors().size(), in_memory->tensors().size());
  for (size_t i = 0; i < in_memory->tensors().size(); ++i) {
    const TensorView& x = (*on_disk)->tensors()[i];
    const TensorView& y = in_memory->tensors()[i];
    EXPECT_EQ(x.name, y.name);
    EXPECT_EQ(x.shape, y.shape);
    EXPECT_TRUE(std::ranges::equal(x.data, y.data)) << x.name;
  }
  for (const TextAsset& asset : in_memory->text_assets().assets) {
    const std::string* bytes = (*on_disk)->text_assets().Find(asset.name);
    ASSERT_NE(bytes, nullptr) << asset.name;
    EXPECT_EQ(*bytes, asset.bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(All, TinyModelTest,
                         ::testing::Values(Architecture::kLlama, Architecture::kMistral,
                                           Architecture::kQwen2, Architecture::kQwen3));

TEST(TinyModelSeedTest, SeedsFixEveryValue) {
  const auto first = MakeTinyCheckpoint({.seed = 1});
  const auto same = MakeTinyCheckpoint({.seed = 1});
  const auto other = MakeTinyCheckpoint({.seed = 2});
  for (size_t i = 0; i < first->tensors().size(); ++i) {
    EXPECT_TRUE(std::ranges::equal(first->tensors()[i].data, same->tensors()[i].data));
    EXPECT_FALSE(std::ranges::equal(first->tensors()[i].data, other->tensors()[i].data));
  }
}

TEST(TinyModelSeedTest, AnUnwritableDirectoryIsNamed) {
  const absl::Status status = WriteTinyModel({}, "/proc/banyan-tiny");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("/proc/banyan-tiny"));
}

}  // namespace
}  // namespace banyan::testing
