#include "common/rpc/port_file.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace banyan::rpc {
namespace {

namespace fs = std::filesystem;

std::string Read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

class PortFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "port_file_test";
    fs::create_directories(folder_);
    path_ = folder_ + "/ports.json";
  }
  ~PortFileTest() override { fs::remove_all(folder_); }

  std::string folder_;
  std::string path_;
};

TEST_F(PortFileTest, HoldsOneLineOfJsonInTheOrderOfTheEntries) {
  const PortFileEntry entries[] = {{"router", "127.0.0.1:7070"}, {"metrics", ""}};
  ASSERT_TRUE(WritePortFile(path_, entries).ok());
  EXPECT_EQ(Read(path_), "{\"router\":\"127.0.0.1:7070\",\"metrics\":\"\"}\n");
}

TEST_F(PortFileTest, ReplacesTheFileAndLeavesNothingBesideIt) {
  const PortFileEntry before[] = {{"worker", "127.0.0.1:1"}, {"health", "127.0.0.1:2"}};
  const PortFileEntry after[] = {{"worker", "127.0.0.1:3"}};
  ASSERT_TRUE(WritePortFile(path_, before).ok());
  ASSERT_TRUE(WritePortFile(path_, after).ok());
  EXPECT_EQ(Read(path_), "{\"worker\":\"127.0.0.1:3\"}\n");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(PortFileTest, RemovesWhatAnEarlierProcessLeft) {
  std::ofstream(path_) << "old";
  RemovePortFile(path_);
  EXPECT_FALSE(fs::exists(path_));
  RemovePortFile(path_);
  RemovePortFile("");
}

TEST_F(PortFileTest, AnEmptyPathWritesNothingAndAMissingFolderIsNamed) {
  EXPECT_TRUE(WritePortFile("", {}).ok());
  const absl::Status status = WritePortFile(folder_ + "/missing/ports.json", {});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("/missing/ports.json"));
}

}  // namespace
}  // namespace banyan::rpc
