#include "common/rpc/command_line.h"

#include <array>
#include <string>

#include "common/rpc/build_info.h"
#include "common/rpc/log_options.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace banyan::rpc {
namespace {

using ::testing::HasSubstr;

class CommandLineTest : public ::testing::Test {
 protected:
  CommandLineTest() { AddLogOptions(table_, options_); }

  // Keeps what was printed.
  std::optional<ExitCode> Parse(const char* flag) {
    const std::array<const char*, 2> argv = {"banyan-test", flag};
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const auto code = ParseCommandLine("banyan-test", table_, 2, argv.data());
    out_ = ::testing::internal::GetCapturedStdout();
    err_ = ::testing::internal::GetCapturedStderr();
    return code;
  }

  LogOptions options_;
  OptionTable table_{"banyan-test", "Tests."};
  std::string out_;
  std::string err_;
};

TEST_F(CommandLineTest, GoodFlagsFillTheTargetsAndPrintNothing) {
  EXPECT_EQ(Parse("--log-level=debug"), std::nullopt);
  EXPECT_EQ(options_.level, "debug");
  EXPECT_EQ(options_.format, "text");
  EXPECT_EQ(out_ + err_, "");
}

TEST_F(CommandLineTest, HelpAndVersionGoToStdoutAndEndWell) {
  EXPECT_EQ(Parse("--help"), ExitCode::kOk);
  EXPECT_THAT(out_, HasSubstr("--log-format"));
  EXPECT_EQ(Parse("--version"), ExitCode::kOk);
  EXPECT_EQ(out_, "banyan-test " + FullVersion() + "\n");
  EXPECT_EQ(err_, "");
}

TEST_F(CommandLineTest, ABadFlagIsOneLineOnStderrAndAUsageError) {
  EXPECT_EQ(Parse("--log-level=loud"), ExitCode::kUsage);
  EXPECT_EQ(out_, "");
  EXPECT_THAT(err_, ::testing::StartsWith("banyan-test: "));
  EXPECT_THAT(err_, HasSubstr("loud"));
}

}  // namespace
}  // namespace banyan::rpc
