#include "common/base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace banyan {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

class LogTest : public ::testing::Test {
 protected:
  ~LogTest() override { ConfigureLog(LogFormat::kText, LogSeverity::kInfo); }
};

TEST_F(LogTest, TextLineHasEventAndFieldsAndQuotesWhatNeedsIt) {
  ConfigureLog(LogFormat::kText, LogSeverity::kInfo);
  ::testing::internal::CaptureStderr();
  Log(LogSeverity::kInfo, "worker_joined")
      .Field("worker", "w 0")
      .Field("blocks", 12)
      .Field("ok", true);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              EndsWith(" info worker_joined worker=\"w 0\" blocks=12 ok=true\n"));
}

TEST_F(LogTest, JsonLineEscapesControlCharactersSoThatOneEventIsOneLine) {
  ConfigureLog(LogFormat::kJson, LogSeverity::kInfo);
  ::testing::internal::CaptureStderr();
  Log(LogSeverity::kError, "bad").Field("name", "a\"b\nc").Field("nan", 0.0 / 0.0 * -1.0);
  const std::string line = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(line, HasSubstr(R"("level":"error","event":"bad","name":"a\"b\u000ac","nan":null})"));
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
}

TEST_F(LogTest, LinesStayBelowEightKibibytes) {
  ::testing::internal::CaptureStderr();
  {
    Log log(LogSeverity::kInfo, "long");
    for (int i = 0; i < 100; ++i) log.Field("value", std::string(10'000, '\n'));
  }
  const std::string line = ::testing::internal::GetCapturedStderr();
  EXPECT_LE(line.size(), 8193u);
  EXPECT_THAT(line, HasSubstr("long"));
}

TEST_F(LogTest, EventsBelowTheMinimumAreNotWritten) {
  ConfigureLog(LogFormat::kText, LogSeverity::kError);
  ::testing::internal::CaptureStderr();
  Log(LogSeverity::kWarning, "quiet").Field("a", 1);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST_F(LogTest, ThrottleLetsOneThroughAndCountsTheRest) {
  LogThrottle throttle(/*interval_ms=*/3'600'000);
  int64_t suppressed = -1;
  EXPECT_TRUE(throttle.Allow(suppressed));
  EXPECT_EQ(suppressed, 0);
  EXPECT_FALSE(throttle.Allow(suppressed));
  EXPECT_FALSE(throttle.Allow(suppressed));
}

TEST_F(LogTest, SeverityNamesParse) {
  LogSeverity severity = LogSeverity::kInfo;
  EXPECT_TRUE(ParseLogSeverity("warning", severity));
  EXPECT_EQ(severity, LogSeverity::kWarning);
  EXPECT_FALSE(ParseLogSeverity("loud", severity));
}

}  // namespace
}  // namespace banyan
