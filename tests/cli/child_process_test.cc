#include "cli/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include "cli/child_log.h"

namespace banyan::cli {
namespace {

// All lines until the child closes its output.
std::vector<std::string> ReadToEnd(ChildProcess& child) {
  std::vector<std::string> all;
  while (child.output_fd() >= 0) {
    pollfd fd = {.fd = child.output_fd(), .events = POLLIN, .revents = 0};
    ::poll(&fd, 1, 10'000);
    for (std::string& line : child.ReadLines()) all.push_back(std::move(line));
  }
  return all;
}

int WaitForExit(ChildProcess& child) {
  while (true) {
    if (const auto code = child.Poll()) return *code;
    ::poll(nullptr, 0, 1);
  }
}

TEST(ChildProcessTest, LinesOfBothStreamsArriveWholeAndTheExitCodeIsKnown) {
  auto child =
      ChildProcess::Start("/bin/sh", {"-c", "echo out; echo err >&2; printf 'no newline'; exit 3"});
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_THAT(ReadToEnd(*child), ::testing::UnorderedElementsAre("out", "err", "no newline"));
  EXPECT_EQ(WaitForExit(*child), 3);
}

TEST(ChildProcessTest, ASignalledChildReportsTheSignal) {
  auto child = ChildProcess::Start("/bin/sleep", {"1000"});
  ASSERT_TRUE(child.ok());
  EXPECT_FALSE(child->Poll().has_value());
  child->Signal(SIGTERM);
  EXPECT_EQ(WaitForExit(*child), 128 + SIGTERM);
}

TEST(ChildProcessTest, TheChildDiesWithItsObject) {
  pid_t pid = 0;
  {
    auto child = ChildProcess::Start("/bin/sleep", {"1000"});
    ASSERT_TRUE(child.ok());
    pid = child->pid();
  }
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST(ChildProcessTest, AMissingProgramIsNamed) {
  const auto child = ChildProcess::Start("/nowhere/banyan-worker", {});
  EXPECT_THAT(std::string(child.status().message()),
              ::testing::HasSubstr("/nowhere/banyan-worker: cannot be executed"));
}

TEST(ChildLogTest, ReadsEventLevelAndFields) {
  const auto line = ParseChildLogLine(
      R"({"time":"t","level":"info","event":"worker_loading","bytes":12,"total":34,"name":"x y"})");
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->event, "worker_loading");
  EXPECT_EQ(line->level, "info");
  EXPECT_EQ(line->Integer("bytes"), 12);
  EXPECT_EQ(line->Text("name"), "x y");
  EXPECT_EQ(line->Integer("absent"), 0);
}

TEST(ChildLogTest, OtherLinesAreNone) {
  EXPECT_FALSE(ParseChildLogLine("terminate called").has_value());
  EXPECT_FALSE(ParseChildLogLine("{}").has_value());
  EXPECT_FALSE(ParseChildLogLine("[1]").has_value());
  EXPECT_FALSE(ParseChildLogLine("").has_value());
}

}  // namespace
}  // namespace banyan::cli
