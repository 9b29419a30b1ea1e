#include "common/base/clock.h"

#include <gtest/gtest.h>

namespace banyan {
namespace {

TEST(ClockTest, FakeClockMovesOnlyWhenAdvanced) {
  FakeClock clock;
  const TimePoint start = clock.Now();
  EXPECT_EQ(clock.Now(), start);
  clock.Advance(std::chrono::milliseconds(5));
  EXPECT_EQ(ToMicroseconds(clock.Now() - start), 5000);
}

TEST(ClockTest, RealClockNeverFalls) {
  const TimePoint first = Clock::Real().Now();
  EXPECT_GE(Clock::Real().Now(), first);
}

}  // namespace
}  // namespace banyan
