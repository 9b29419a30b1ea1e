#include "worker/service/worker_metrics.h"

#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/service/fake_engine.h"
#include "worker/service/dispatch_ledger.h"
#include "worker/service/watcher_hub.h"

namespace banyan::worker {
namespace {

using ::testing::HasSubstr;

// Families of a page by their TYPE lines.
std::set<std::string> FamiliesOf(const std::string& page) {
  std::set<std::string> families;
  for (size_t at = page.find("# TYPE "); at != std::string::npos;
       at = page.find("# TYPE ", at + 1)) {
    const size_t begin = at + 7;
    families.insert(page.substr(begin, page.find(' ', begin) - begin));
  }
  return families;
}

TEST(WorkerMetricsTest, ThePageIsTheListBothWays) {
  rpc::MetricsRegistry registry(WorkerMetricSpecs());
  WorkerMetrics metrics(registry);
  WorkerIdentity identity;
  identity.worker_id = "w0";
  metrics.SetInfo(identity);
  std::set<std::string> listed;
  for (const rpc::MetricSpec& spec : registry.specs()) listed.insert(std::string(spec.name));
  EXPECT_EQ(FamiliesOf(registry.Render()), listed);
}

TEST(WorkerMetricsTest, NamesFollowTheRules) {
  for (const rpc::MetricSpec& spec : WorkerMetricSpecs()) {
    const std::string name(spec.name);
    EXPECT_TRUE(name.starts_with("banyan_worker_")) << name;
    EXPECT_EQ(name.ends_with("_total"), spec.type == rpc::MetricType::kCounter) << name;
    EXPECT_TRUE(std::string(spec.help).ends_with(".")) << name;
  }
}

TEST(WorkerMetricsTest, MirrorsTheEngineBeforeEachScrape) {
  rpc::MetricsRegistry registry(WorkerMetricSpecs());
  WorkerMetrics metrics(registry);
  FakeEngine engine;
  FakeClock clock;
  EngineStats stats;
  stats.running_sequences = 3;
  stats.blocks_total = 10;
  stats.blocks_used = 4;
  stats.blocks_cached = 1;
  stats.generated_tokens = 1'000;
  stats.state = EngineState::kDraining;
  engine.SetStats(stats);
  metrics.AttachEngine(engine, clock);
  std::string page = registry.Render();
  for (const char* line :
       {"banyan_worker_running_sequences 3", "banyan_worker_kv_blocks{state=\"free\"} 5",
        "banyan_worker_kv_utilization_ratio 0.4", "banyan_worker_generation_tokens_total 1000",
        "banyan_worker_draining 1", "banyan_worker_rank_up{rank=\"0\"} 1"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
  engine.ChangeStats([](EngineStats& changed) {
    changed.running_sequences = 1;
    changed.generated_tokens = 1'500;
  });
  page = registry.Render();
  EXPECT_THAT(page, HasSubstr("banyan_worker_running_sequences 1"));
  EXPECT_THAT(page, HasSubstr("banyan_worker_generation_tokens_total 1500"));
  metrics.DetachEngine();
  engine.ChangeStats([](EngineStats& changed) { changed.running_sequences = 9; });
  EXPECT_THAT(registry.Render(), HasSubstr("banyan_worker_running_sequences 1"));
}

TEST(WorkerMetricsTest, StepsAreCountedByPhase) {
  rpc::MetricsRegistry registry(WorkerMetricSpecs());
  WorkerMetrics metrics(registry);
  metrics.ObserveStep({std::chrono::milliseconds(1), 10, 0});
  metrics.ObserveStep({std::chrono::milliseconds(1), 0, 4});
  metrics.ObserveStep({std::chrono::milliseconds(1), 0, 4});
  metrics.ObserveStep({std::chrono::milliseconds(1), 8, 4});
  const std::string page = registry.Render();
  for (const char* line : {"banyan_worker_step_tokens_sum{phase=\"prefill\"} 10",
                           "banyan_worker_step_tokens_count{phase=\"decode\"} 2",
                           "banyan_worker_step_tokens_sum{phase=\"mixed\"} 12"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
}

TEST(WorkerMetricsTest, OutcomesCoverEveryCode) {
  EXPECT_EQ(OutcomeOf(absl::OkStatus()), RequestOutcome::kOk);
  EXPECT_EQ(OutcomeOf(absl::UnavailableError("")), RequestOutcome::kDrained);
  EXPECT_EQ(OutcomeOf(absl::InternalError("")), RequestOutcome::kInternal);
  EXPECT_EQ(OutcomeOf(absl::ResourceExhaustedError("")), RequestOutcome::kRejected);
  EXPECT_EQ(OutcomeOf(absl::UnimplementedError("")), RequestOutcome::kInvalid);
}

TEST(DispatchLedgerTest, KeepsTheHighestByRouter) {
  DispatchLedger ledger;
  EXPECT_EQ(ledger.Seen(1, 9), 0u);
  ledger.Record(1, 5, 0);
  ledger.Record(1, 4, 0);
  ledger.Record(2, 7, 0);
  EXPECT_EQ(ledger.Seen(1, 0), 5u);
  EXPECT_EQ(ledger.Seen(2, 0), 7u);
}

TEST(DispatchLedgerTest, ADispatchShowsFromItsTurnOn) {
  DispatchLedger ledger;
  ledger.Record(1, 1, 10);
  ledger.Record(1, 2, 12);
  EXPECT_EQ(ledger.Seen(1, 9), 0u);
  EXPECT_EQ(ledger.Seen(1, 10), 1u);
  EXPECT_EQ(ledger.Seen(1, 11), 1u);
  EXPECT_EQ(ledger.Seen(1, 12), 2u);
}

TEST(DispatchLedgerTest, ForgetsTheRouterThatWasSilentLongest) {
  DispatchLedger ledger;
  for (uint64_t router = 1; router <= kRoutersMax; ++router) ledger.Record(router, router, 0);
  ledger.Record(1, 9, 0);
  ledger.Record(kRoutersMax + 1, 1, 0);
  EXPECT_EQ(ledger.Seen(1, 0), 9u);
  EXPECT_EQ(ledger.Seen(2, 0), 0u);
  EXPECT_EQ(ledger.Seen(kRoutersMax + 1, 0), 1u);
}

TEST(DispatchLedgerTest, WhatNoOneAsksAboutIsBounded) {
  DispatchLedger ledger;
  for (uint64_t i = 1; i <= 2 * kPendingDispatchesMax; ++i) ledger.Record(1, i, i);
  EXPECT_EQ(ledger.Seen(1, kPendingDispatchesMax), 0u);
  EXPECT_EQ(ledger.Seen(1, 2 * kPendingDispatchesMax), 2 * kPendingDispatchesMax);
}

class CountingWatcher final : public Watcher {
 public:
  Duration Tick(TimePoint) override {
    ++ticks;
    ticked.notify_all();
    return std::chrono::milliseconds(7);
  }
  std::atomic<int> ticks{0};
  std::condition_variable ticked;
};

TEST(WatcherHubTest, TicksOnceOnAddAndAsksForTheEarliest) {
  FakeClock clock;
  WatcherHub hub(clock, WatcherHub::Mode::kManual);
  EXPECT_EQ(hub.TickAll(), kHubIdlePeriod);
  CountingWatcher watcher;
  hub.Add(&watcher);
  EXPECT_EQ(watcher.ticks, 1);
  EXPECT_EQ(hub.TickAll(), std::chrono::milliseconds(7));
  EXPECT_EQ(watcher.ticks, 2);
  hub.Remove(&watcher);
  hub.TickAll();
  EXPECT_EQ(watcher.ticks, 2);
}

TEST(WatcherHubTest, WakingTheThreadTicks) {
  WatcherHub hub(Clock::Real());
  CountingWatcher watcher;
  hub.Add(&watcher);
  std::mutex mutex;
  std::unique_lock lock(mutex);
  const int before = watcher.ticks;
  hub.Wake();
  // The idle period would tick too; the limit only bounds a broken hub.
  EXPECT_TRUE(watcher.ticked.wait_for(lock, std::chrono::seconds(10),
                                      [&] { return watcher.ticks > before; }));
  hub.Remove(&watcher);
}

}  // namespace
}  // namespace banyan::worker
