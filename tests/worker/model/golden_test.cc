// Every tiny golden model (tests/golden/models, made with Hugging Face Transformers) on every
// backend, read through both forms of config.json: logits at each position, and the ids that follow
// greedily, decoded token by token from the cache.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "tests/testing/paths.h"
#include "tests/worker/model/model_fixture.h"

namespace banyan::worker::testing {
namespace {

namespace fs = std::filesystem;

constexpr float kTolerance = 1e-4f;

constexpr const char* kModels[] = {"llama_mha",
                                   "llama_gqa",
                                   "llama_mqa",
                                   "llama_tied",
                                   "llama_headdim",
                                   "llama_bias",
                                   "llama_theta500k",
                                   "llama_rope_llama3",
                                   "llama_rope_linear",
                                   "llama_rope_yarn",
                                   "llama_rope_dynamic",
                                   "llama_sharded",
                                   "llama_bf16",
                                   "llama_f16",
                                   "mistral_swa",
                                   "qwen2",
                                   "qwen3",
                                   "qwen3_tied_yarn"};

struct GoldenSequence {
  std::vector<TokenId> ids;
  std::vector<TokenId> greedy;
  std::vector<float> logits;  // [ids, V]
};

std::vector<TokenId> ReadIds(simdjson::dom::element array) {
  std::vector<TokenId> ids;
  for (int64_t id : array.get_array()) ids.push_back(static_cast<TokenId>(id));
  return ids;
}

std::vector<float> ReadFloats(const fs::path& path) {
  std::vector<float> values(fs::file_size(path) / sizeof(float));
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(float)));
  EXPECT_TRUE(file.good()) << path;
  return values;
}

std::vector<GoldenSequence> ReadGolden(const fs::path& directory) {
  simdjson::dom::parser parser;
  const simdjson::dom::element root = parser.load((directory / "golden.json").string());
  std::vector<GoldenSequence> sequences;
  for (simdjson::dom::element sequence : root["sequences"].get_array()) {
    const std::string_view logits = sequence["logits"];
    sequences.push_back({.ids = ReadIds(sequence["ids"]),
                         .greedy = ReadIds(sequence["greedy"]),
                         .logits = ReadFloats(directory / std::string(logits))});
  }
  return sequences;
}

float MaxDifference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  float max = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const float difference = std::abs(a[i] - b[i]);
    if (!(difference <= max)) max = difference;  // NaN too
  }
  return max;
}

enum class ConfigForm { kPublished, kTransformers5 };

struct Case {
  TestBackend backend;
  std::string model;
  ConfigForm form = ConfigForm::kPublished;
};

class GoldenTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    source_ = banyan::testing::GoldenDir() / "models" / GetParam().model;
    directory_ = source_;
    if (GetParam().form == ConfigForm::kTransformers5) MakeDirectoryWithNewConfig();
    absl::StatusOr<std::unique_ptr<Checkpoint>> checkpoint = Checkpoint::Open(directory_);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    checkpoint_ = *std::move(checkpoint);
    sequences_ = ReadGolden(source_);
    ASSERT_EQ(sequences_.size(), 3u);
  }
  void TearDown() override {
    if (directory_ != source_) fs::remove_all(directory_);
  }

  // The same files with config_v5.json in the place of config.json.
  void MakeDirectoryWithNewConfig() {
    directory_ = fs::path(::testing::TempDir()) /
                 ("banyan_golden_" + GetParam().backend.name + "_" + GetParam().model);
    fs::remove_all(directory_);
    fs::create_directories(directory_);
    for (const fs::directory_entry& entry : fs::directory_iterator(source_)) {
      const std::string name = entry.path().filename().string();
      if (name == "config.json") continue;
      const std::string target = name == "config_v5.json" ? "config.json" : name;
      fs::create_symlink(fs::absolute(entry.path()), directory_ / target);
    }
  }

  bool is_dynamic() const {
    return checkpoint_->config().rope_scaling.type == RopeScalingType::kDynamic;
  }
  RunnableModel Load(int32_t context_length) {
    return RunnableModel(GetParam().backend, *checkpoint_, {.context_length = context_length}, 16);
  }
  static SequenceRun PlainSequence(const std::vector<TokenId>& ids) {
    return {ids, PlainTable(256, 16)};
  }

  fs::path source_;
  fs::path directory_;
  std::unique_ptr<Checkpoint> checkpoint_;
  std::vector<GoldenSequence> sequences_;
};

TEST_P(GoldenTest, LogitsOfEveryPositionAreThoseOfTransformers) {
  for (const GoldenSequence& sequence : sequences_) {
    // Dynamic scaling: Transformers scales for the length of the run; here that is the served
    // context length.
    const auto length = static_cast<int32_t>(sequence.ids.size());
    const int32_t context_length = is_dynamic() ? std::max(length, 32) : 112;
    const std::vector<float> logits = Load(context_length).Run(PlainSequence(sequence.ids), length);
    EXPECT_LT(MaxDifference(logits, sequence.logits), kTolerance) << length << " tokens";
  }
}

TEST_P(GoldenTest, GreedyDecodingGivesTheSameIds) {
  for (const GoldenSequence& sequence : sequences_) {
    const auto length = static_cast<int32_t>(sequence.ids.size());
    auto count = static_cast<int32_t>(sequence.greedy.size());
    // Transformers changes the base at every length past the original 32; a cache cannot.
    if (is_dynamic()) count = std::min(count, 32 - length + 1);
    if (count <= 0) continue;
    const std::vector<TokenId> greedy =
        Load(is_dynamic() ? 32 : 112).Greedy(PlainSequence(sequence.ids), count, 16);
    EXPECT_EQ(greedy,
              std::vector<TokenId>(sequence.greedy.begin(), sequence.greedy.begin() + count))
        << length << " tokens";
  }
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const TestBackend& backend : TestBackends()) {
    for (const char* model : kModels) {
      cases.push_back({backend, model, ConfigForm::kPublished});
      cases.push_back({backend, model, ConfigForm::kTransformers5});
    }
  }
  return cases;
}

std::string CaseName(const ::testing::TestParamInfo<Case>& info) {
  const Case& c = info.param;
  return c.backend.name + "_" + c.model + (c.form == ConfigForm::kPublished ? "" : "_v5");
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTest, ::testing::ValuesIn(AllCases()), CaseName);

}  // namespace
}  // namespace banyan::worker::testing
