#include "common/rpc/stop_signals.h"

#include <vector>

#include "common/rpc/exit_code.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace banyan::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::ExitedWithCode;

constexpr int kInterrupted = static_cast<int>(ExitCode::kInterrupted);

TEST(StopSignalsTest, TheFirstSignalAsksToFinishAndTheSecondToStopNow) {
  StopSignals stop;
  std::vector<StopUrgency> asked;
  stop.Attach([&](StopUrgency urgency) { asked.push_back(urgency); });
  stop.OnSignal(1);
  stop.OnSignal(2);
  EXPECT_THAT(asked, ElementsAre(StopUrgency::kFinish, StopUrgency::kNow));
}

TEST(StopSignalsDeathTest, TheThirdSignalEndsTheProcess) {
  StopSignals stop;
  stop.Attach([](StopUrgency) {});
  EXPECT_EXIT(stop.OnSignal(3), ExitedWithCode(kInterrupted), "");
}

TEST(StopSignalsDeathTest, WithNobodyToAskTheFirstSignalEndsTheProcess) {
  StopSignals stop;
  EXPECT_EXIT(stop.OnSignal(1), ExitedWithCode(kInterrupted), "");
  stop.Attach([](StopUrgency) {});
  stop.Detach();
  EXPECT_EXIT(stop.OnSignal(1), ExitedWithCode(kInterrupted), "");
}

}  // namespace
}  // namespace banyan::rpc
