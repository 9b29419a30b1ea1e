#include "router/routing/worker_health.h"

#include <gtest/gtest.h>

#include <cmath>

#include "router/routing/worker_load.h"

namespace banyan::router {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class WorkerHealthTest : public ::testing::Test {
 protected:
  // `heartbeats_per_report` 0: an engine that hangs behind an open port.
  void Report(Duration time, uint64_t heartbeats_per_report = 1) {
    for (const TimePoint end = clock_.Now() + time; clock_.Now() < end;) {
      clock_.Advance(milliseconds(100));
      report_.heartbeats += heartbeats_per_report;
      tracker_.OnReport(report_, clock_.Now());
    }
  }
  WorkerHealth After(Duration silence) {
    clock_.Advance(silence);
    tracker_.Update(clock_.Now());
    return tracker_.health();
  }

  FakeClock clock_;
  WorkerHealthTracker tracker_{WorkerHealthTracker::Limits{}};
  LoadReport report_{.state = ReportedState::kServing};
};

TEST_F(WorkerHealthTest, ComesIntoRotationSlowlyOnceItReports) {
  EXPECT_EQ(tracker_.health(), WorkerHealth::kConnecting);
  tracker_.OnConnected(clock_.Now());
  EXPECT_EQ(tracker_.health(), WorkerHealth::kConnecting);
  Report(milliseconds(100));
  EXPECT_EQ(tracker_.health(), WorkerHealth::kSlowStart);
  EXPECT_DOUBLE_EQ(tracker_.SlowStartFactor(clock_.Now()), 4);
  Report(seconds(15));
  EXPECT_NEAR(tracker_.SlowStartFactor(clock_.Now()), 2.5, 0.05);
  Report(seconds(16));
  EXPECT_EQ(tracker_.health(), WorkerHealth::kHealthy);
  EXPECT_EQ(tracker_.reason(), "");
}

TEST_F(WorkerHealthTest, SilenceMakesItStaleAndThenEjected) {
  tracker_.OnConnected(clock_.Now());
  Report(seconds(1));
  EXPECT_EQ(After(milliseconds(900)), WorkerHealth::kSlowStart);
  EXPECT_EQ(After(milliseconds(200)), WorkerHealth::kStale);
  EXPECT_EQ(After(seconds(4)), WorkerHealth::kEjected);
}

TEST_F(WorkerHealthTest, HeartbeatsThatStandStillMakeItStaleWhateverThePortSays) {
  tracker_.OnConnected(clock_.Now());
  Report(seconds(1));
  Report(milliseconds(900), 0);
  EXPECT_EQ(tracker_.health(), WorkerHealth::kSlowStart);
  Report(milliseconds(300), 0);
  EXPECT_EQ(tracker_.health(), WorkerHealth::kStale);
  EXPECT_EQ(tracker_.reason(), "engine heartbeats stand still");
  Report(milliseconds(100));
  EXPECT_EQ(tracker_.health(), WorkerHealth::kSlowStart);
}

TEST_F(WorkerHealthTest, ThreeErrorsInARowEjectItUntilAProbeSucceeds) {
  tracker_.OnConnected(clock_.Now());
  Report(seconds(1));
  tracker_.OnStreamError();
  tracker_.OnStreamError();
  tracker_.OnStreamOk();
  tracker_.OnStreamError();
  tracker_.OnStreamError();
  Report(milliseconds(100));
  EXPECT_EQ(tracker_.health(), WorkerHealth::kSlowStart);
  tracker_.OnStreamError();
  Report(milliseconds(100));
  EXPECT_EQ(tracker_.health(), WorkerHealth::kStale);
  Report(seconds(3));
  EXPECT_EQ(tracker_.health(), WorkerHealth::kEjected);
  EXPECT_FALSE(tracker_.TakeProbe(clock_.Now()));
  Report(milliseconds(1100));
  ASSERT_TRUE(tracker_.TakeProbe(clock_.Now()));
  EXPECT_FALSE(tracker_.TakeProbe(clock_.Now())) << "one probe at a time";
  tracker_.OnProbe(false, clock_.Now());
  Report(milliseconds(1500));
  EXPECT_FALSE(tracker_.TakeProbe(clock_.Now())) << "the delay doubles";
  Report(milliseconds(600));
  ASSERT_TRUE(tracker_.TakeProbe(clock_.Now()));
  tracker_.OnProbe(true, clock_.Now());
  EXPECT_EQ(tracker_.health(), WorkerHealth::kSlowStart);
}

TEST_F(WorkerHealthTest, ALostConnectionEjectsAtOnce) {
  tracker_.OnConnected(clock_.Now());
  Report(seconds(1));
  tracker_.OnConnectionLost(clock_.Now());
  EXPECT_EQ(tracker_.health(), WorkerHealth::kEjected);
  EXPECT_FALSE(tracker_.TakeProbe(clock_.Now() + seconds(100))) << "there is nobody to probe";
}

TEST_F(WorkerHealthTest, FollowsTheWorkersOwnState) {
  tracker_.OnConnected(clock_.Now());
  report_.state = ReportedState::kStarting;
  Report(milliseconds(100));
  EXPECT_EQ(tracker_.health(), WorkerHealth::kConnecting);
  report_.state = ReportedState::kServing;
  Report(milliseconds(100));
  EXPECT_EQ(tracker_.health(), WorkerHealth::kSlowStart);
  report_.state = ReportedState::kDraining;
  Report(milliseconds(100));
  EXPECT_EQ(tracker_.health(), WorkerHealth::kDraining);
  report_.state = ReportedState::kFailed;
  Report(milliseconds(100));
  EXPECT_EQ(tracker_.health(), WorkerHealth::kEjected);
}

TEST(WorkerLoadTest, CountsOwnDispatchesUntilAReportContainsThem) {
  FakeClock clock;
  WorkerLoad load(16);
  LoadReport report{.epoch = 1};
  load.OnReport(report, clock.Now());
  EXPECT_EQ(load.OnDispatch(100), 1u);
  EXPECT_EQ(load.OnDispatch(50), 2u);
  EXPECT_EQ(load.OnDispatch(7), 3u);
  EXPECT_EQ(load.ToCandidate({}, clock.Now()).unreported_prefill_tokens, 157);
  report.dispatch_sequence_seen = 1;
  load.OnReport(report, clock.Now());
  EXPECT_EQ(load.ToCandidate({}, clock.Now()).unreported_requests, 2);
  load.OnStreamEnd(3);
  EXPECT_EQ(load.ToCandidate({}, clock.Now()).unreported_prefill_tokens, 50);
  report.epoch = 2;
  report.dispatch_sequence_seen = 0;
  load.OnReport(report, clock.Now());
  EXPECT_EQ(load.ToCandidate({}, clock.Now()).unreported_requests, 0) << "the process is another";
}

TEST(WorkerLoadTest, LetsNoImpossibleNumberIn) {
  FakeClock clock;
  WorkerLoad load(16);
  LoadReport report;
  report.step = {.base_s = NAN, .per_prefill_token_s = -1, .per_sequence_s = INFINITY};
  report.kv_blocks_freed_per_s = -5;
  load.OnReport(report, clock.Now());
  const StepModel fallback{.base_s = 0.5};
  const CandidateWorker worker = load.ToCandidate(fallback, clock.Now());
  EXPECT_EQ(worker.step.base_s, 0.5);
  EXPECT_EQ(worker.kv_tokens_freed_per_s, 0);
  EXPECT_EQ(worker.step_tokens_max, 1);
}

}  // namespace
}  // namespace banyan::router
