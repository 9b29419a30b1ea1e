#include "common/rpc/signal_watcher.h"

#include <signal.h>
#include <unistd.h>

#include <future>
#include <vector>

#include "gtest/gtest.h"

namespace banyan::rpc {
namespace {

TEST(SignalWatcherTest, CountsSignalsOnItsOwnThread) {
  std::vector<std::pair<int, int>> seen;
  std::promise<void> first;
  std::promise<void> second;
  std::thread::id thread;
  {
    SignalWatcher watcher([&](int signal, int count) {
      seen.emplace_back(signal, count);
      thread = std::this_thread::get_id();
      (count == 1 ? first : second).set_value();
    });
    // To the process: the watcher holds the signals blocked in every thread made after it.
    ASSERT_EQ(kill(getpid(), SIGTERM), 0);
    first.get_future().wait();
    ASSERT_EQ(kill(getpid(), SIGINT), 0);
    second.get_future().wait();
  }
  EXPECT_EQ(seen, (std::vector<std::pair<int, int>>{{SIGTERM, 1}, {SIGINT, 2}}));
  EXPECT_NE(thread, std::this_thread::get_id());
}

TEST(SignalWatcherTest, EndsWithoutASignal) {
  bool called = false;
  {
    SignalWatcher watcher([&](int, int) { called = true; });
  }
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace banyan::rpc
