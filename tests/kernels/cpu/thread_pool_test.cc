#include "kernels/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <vector>

namespace banyan::kernels::cpu {
namespace {

// Jobs follow each other faster than threads wake, and there are more threads than cores: most jobs
// end before some thread has come. None may be joined late, lost or seen half.
TEST(ThreadPoolTest, ThreadsThatComeLateTouchNoLaterJob) {
  for (int threads : {2, 3, 5}) {
    ThreadPool pool(threads);
    std::vector<int64_t> sums(static_cast<size_t>(threads) * 16);
    int64_t expected = 0;
    for (int64_t round = 0; round < 3000; ++round) {
      const int64_t count = 2 + round % 7;
      pool.ParallelFor(count, 1, [&](int thread, int64_t begin, int64_t) {
        sums[static_cast<size_t>(thread) * 16] += begin + round;
      });
      expected += count * (count - 1) / 2 + count * round;
    }
    EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), int64_t{0}), expected);
  }
}

TEST(ThreadPoolTest, ParallelForCoversEveryItemOnceInPiecesOfAtMostTheGrain) {
  for (int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    for (int64_t count : {0, 1, 2, 7, 64, 1001}) {
      for (int64_t grain : {1, 4, 2000}) {
        std::vector<std::atomic<int>> seen(static_cast<size_t>(count));
        std::atomic<bool> too_long{false};
        pool.ParallelFor(count, grain, [&](int thread, int64_t begin, int64_t end) {
          if (end - begin > grain || thread < 0 || thread >= threads) too_long = true;
          for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
        });
        EXPECT_FALSE(too_long);
        for (const auto& times : seen) ASSERT_EQ(times, 1);
      }
    }
  }
}

TEST(ThreadPoolTest, AnotherThreadTakesTheWorkOfOneThatIsHeldUp) {
  ThreadPool pool(2);
  // Whoever takes item 0 waits until all other items are done: without stealing it would wait for
  // its own range for ever.
  std::atomic<int> done{0};
  pool.ParallelFor(100, 1, [&](int, int64_t begin, int64_t) {
    if (begin == 0) {
      while (done < 99) std::this_thread::yield();
    }
    ++done;
  });
  EXPECT_EQ(done, 100);
}

TEST(ThreadPoolTest, UsableCoresAreAtLeastOneAndAtMostTheMachines) {
  EXPECT_GE(UsableCores(), 1);
  EXPECT_LE(UsableCores(), static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace
}  // namespace banyan::kernels::cpu
