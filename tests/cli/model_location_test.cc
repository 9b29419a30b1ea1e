#include "cli/model_location.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace banyan::cli {
namespace {

namespace fs = std::filesystem;

class ModelLocationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "banyan_models_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    ::setenv("BANYAN_MODEL_DIR", name.c_str(), 1);
    std::ofstream(directory_ / "SmolLM2-135M-Instruct.Q4_1.gguf") << "x";
    fs::create_directory(directory_ / "qwen");
    std::ofstream(directory_ / "qwen/config.json") << "{}";
    fs::create_directory(directory_ / "empty");
  }
  void TearDown() override {
    ::unsetenv("BANYAN_MODEL_DIR");
    fs::remove_all(directory_);
  }
  fs::path directory_;
};

TEST_F(ModelLocationTest, NamesAreFoundWholeWithSuffixAndByBeginning) {
  EXPECT_EQ(*LocateModel("qwen"), directory_ / "qwen");
  EXPECT_EQ(*LocateModel("SmolLM2-135M-Instruct.Q4_1"),
            directory_ / "SmolLM2-135M-Instruct.Q4_1.gguf");
  EXPECT_EQ(*LocateModel(kDefaultModel), directory_ / "SmolLM2-135M-Instruct.Q4_1.gguf");
}

TEST_F(ModelLocationTest, PathsWinAndNeedNotBeInTheFolder) {
  EXPECT_EQ(*LocateModel((directory_ / "qwen").string()), directory_ / "qwen");
}

TEST_F(ModelLocationTest, WhatIsNotThereSaysWhatIs) {
  const absl::Status status = LocateModel("mistral").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              ::testing::HasSubstr("it holds SmolLM2-135M-Instruct.Q4_1.gguf, qwen"));
  EXPECT_THAT(std::string(LocateModel("/no/such.gguf").status().message()),
              ::testing::HasSubstr("/no/such.gguf: no such file"));
}

}  // namespace
}  // namespace banyan::cli
