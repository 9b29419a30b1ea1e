#include "cli/state_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace banyan::cli {
namespace {

namespace fs = std::filesystem;

TEST(StateDirectoryTest, AFolderThatCannotBeMadeIsNamedAndNothingThrows) {
  const auto made = MakeStateDirectory("/proc/nope/x");
  EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(made.status().message()),
              ::testing::HasSubstr("--state-dir: /proc/nope/x cannot be made"));
}

TEST(StateDirectoryTest, WithoutAWishEachClusterGetsAFolderOfItsOwn) {
  const auto first = MakeStateDirectory("");
  const auto second = MakeStateDirectory("");
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE(*first, *second);
  fs::remove_all(*first);
  fs::remove_all(*second);
}

TEST(StateDirectoryTest, ReplacedFilesAreWholeAndFailuresNameTheFile) {
  const auto directory = MakeStateDirectory("");
  ASSERT_TRUE(directory.ok());
  const fs::path path = *directory / "cluster.json";
  ASSERT_TRUE(ReplaceFile(path, "long text").ok());
  ASSERT_TRUE(ReplaceFile(path, "short").ok());
  std::ifstream file(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "short");
  fs::remove_all(*directory);
  EXPECT_THAT(std::string(ReplaceFile(path, "x").message()),
              ::testing::HasSubstr("cluster.json cannot be written"));
}

}  // namespace
}  // namespace banyan::cli
