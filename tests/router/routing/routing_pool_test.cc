#include "router/routing/routing_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "tests/router/routing/chains.h"

namespace banyan::router {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class RoutingPoolTest : public ::testing::Test {
 protected:
  WorkerHandle AddReady(const std::string& id) {
    const WorkerHandle worker = pool_.AddWorker(id);
    pool_.OnConnected(worker, clock_.Now());
    stores_.push_back(pool_.NewCacheStore(worker, clock_));
    stores_.back()->Reset();
    stores_.back()->SetUsable(true);
    workers_.push_back(worker);
    return worker;
  }
  void ReportAll() {
    ++report_.heartbeats;
    for (const WorkerHandle& worker : workers_) {
      pool_.OnLoadReport(worker, report_, clock_.Now());
    }
  }
  static LoadReport IdleReport() {
    LoadReport report{.epoch = 1, .state = ReportedState::kServing};
    report.step = {.base_s = 0.008, .per_prefill_token_s = 1.0 / 16'000};
    report.step_tokens_max = 1024;
    report.running_sequences_max = 128;
    report.kv_blocks_total = 25'000;
    return report;
  }
  RouteQuery QueryOf(std::span<const BlockHash> blocks) {
    return {.blocks = blocks,
            .prompt_tokens = static_cast<uint32_t>(blocks.size()) * 16 + 3,
            .max_tokens = 100,
            .random = ++random_};
  }

  FakeClock clock_;
  RoutingPool pool_{{.block_size = 16, .tree = {.index_segment_bits = 4}}};
  LoadReport report_ = IdleReport();
  std::vector<WorkerHandle> workers_;
  std::vector<std::unique_ptr<CacheStore>> stores_;
  uint64_t random_ = 0;
};

TEST_F(RoutingPoolTest, SendsAPromptToWhoHoldsItsPrefix) {
  AddReady("a");
  const WorkerHandle b = AddReady("b");
  ReportAll();
  const std::vector<BlockHash> chain = MakeChain(1, 60);
  stores_[1]->Store(std::nullopt, std::span(chain).first(50));
  const auto decision = pool_.Route(QueryOf(chain), clock_.Now());
  ASSERT_TRUE(decision.has_value());
  EXPECT_EQ(decision->worker, b);
  EXPECT_EQ(decision->reason, RoutingReason::kPrefix);
  EXPECT_EQ(decision->matched_tokens, 800u);
}

TEST_F(RoutingPoolTest, AnUnfinishedSnapshotDoesNotCount) {
  AddReady("a");
  AddReady("b");
  ReportAll();
  const std::vector<BlockHash> chain = MakeChain(1, 60);
  stores_[1]->SetUsable(false);
  stores_[1]->Store(std::nullopt, chain);
  EXPECT_EQ(pool_.Route(QueryOf(chain), clock_.Now())->reason, RoutingReason::kLoad);
}

TEST_F(RoutingPoolTest, ABurstThatSharesAPromptStaysTogetherBeforeAnyCacheEvent) {
  for (const char* id : {"a", "b", "c", "d"}) AddReady(id);
  ReportAll();
  const std::vector<BlockHash> chain = MakeChain(1, 500);
  const auto first = pool_.Route(QueryOf(chain), clock_.Now());
  const Dispatch dispatch =
      pool_.BeginDispatch(first->worker, QueryOf(chain), first->matched_tokens, clock_.Now());
  report_.dispatch_sequence_seen = 1;
  ReportAll();
  const auto second = pool_.Route(QueryOf(chain), clock_.Now());
  EXPECT_EQ(second->worker, first->worker);
  EXPECT_EQ(second->reason, RoutingReason::kPrefix);
  pool_.EndDispatch(dispatch, StreamEnd::kWorkerFault, 0, clock_.Now());
  EXPECT_EQ(pool_.Route(QueryOf(chain), clock_.Now())->reason, RoutingReason::kLoad);
}

TEST_F(RoutingPoolTest, OptimismEndsWithTheEventsBehindTheFirstToken) {
  AddReady("a");
  AddReady("b");
  ReportAll();
  const std::vector<BlockHash> chain = MakeChain(1, 50);
  const auto first = pool_.Route(QueryOf(chain), clock_.Now());
  const Dispatch dispatch = pool_.BeginDispatch(first->worker, QueryOf(chain), 0, clock_.Now());
  pool_.OnFirstToken(dispatch, clock_.Now());
  clock_.Advance(milliseconds(60));
  report_.dispatch_sequence_seen = 1;
  ReportAll();
  EXPECT_EQ(pool_.Route(QueryOf(chain), clock_.Now())->reason, RoutingReason::kPrefix);
  stores_[first->worker.slot]->Store(std::nullopt, MakeChain(2, 1));
  EXPECT_EQ(pool_.Route(QueryOf(chain), clock_.Now())->reason, RoutingReason::kLoad);
}

TEST_F(RoutingPoolTest, RemovedBlocksEndOptimismToo) {
  AddReady("a");
  AddReady("b");
  ReportAll();
  const std::vector<BlockHash> chain = MakeChain(1, 50);
  const auto first = pool_.Route(QueryOf(chain), clock_.Now());
  pool_.BeginDispatch(first->worker, QueryOf(chain), 0, clock_.Now());
  stores_[first->worker.slot]->Remove(std::span(chain).last(1));
  EXPECT_EQ(pool_.Route(QueryOf(chain), clock_.Now())->matched_tokens, 0u);
}

TEST_F(RoutingPoolTest, TriedAndDrainingWorkersAreLeftOutAndExplained) {
  const WorkerHandle a = AddReady("a");
  const WorkerHandle b = AddReady("b");
  AddReady("c");
  ReportAll();
  pool_.SetDraining(b, true);
  RouteQuery query = QueryOf({});
  query.prompt_tokens = 10;
  query.excluded = std::span(&a, 1);
  query.attempt = AttemptKind::kRetry;
  const auto decision = pool_.Explain(query, clock_.Now());
  ASSERT_TRUE(decision.has_value());
  EXPECT_EQ(decision->worker_id, "c");
  EXPECT_EQ(decision->reason, RoutingReason::kRetry);
  ASSERT_EQ(decision->candidates.size(), 3u);
  EXPECT_EQ(decision->candidates[0].worker_id, "c");
  EXPECT_EQ(decision->candidates[1].excluded_because, "tried already");
  EXPECT_EQ(decision->candidates[2].excluded_because, "drained by an operator");
}

TEST_F(RoutingPoolTest, WithMostWorkersOutTheConnectedOnesAreUsedAllTheSame) {
  AddReady("a");
  AddReady("b");
  ReportAll();
  clock_.Advance(seconds(2));  // all reports stopped
  RouteQuery query = QueryOf({});
  query.prompt_tokens = 10;
  const auto decision = pool_.Route(query, clock_.Now());
  ASSERT_TRUE(decision.has_value());
  EXPECT_EQ(decision->reason, RoutingReason::kPanic);
  for (const WorkerHandle& worker : workers_) pool_.OnConnectionLost(worker, clock_.Now());
  EXPECT_FALSE(pool_.Route(query, clock_.Now()).has_value()) << "lost connections never";
}

TEST_F(RoutingPoolTest, RoundRobinTakesTurns) {
  RoutingPool pool({.block_size = 16, .policy = PolicyKind::kRoundRobin});
  for (const char* id : {"a", "b", "c"}) {
    const WorkerHandle worker = pool.AddWorker(id);
    pool.OnConnected(worker, clock_.Now());
    pool.OnLoadReport(worker, report_, clock_.Now());
  }
  std::string order;
  RouteQuery query = QueryOf({});
  query.prompt_tokens = 10;
  for (int i = 0; i < 6; ++i) order += pool.Route(query, clock_.Now())->worker_id;
  EXPECT_EQ(order, "abcabc");
}

TEST_F(RoutingPoolTest, ARemovedWorkerLeavesNothingAndItsSlotIsReusedSafely) {
  const WorkerHandle a = AddReady("a");
  ReportAll();
  stores_[0]->Store(std::nullopt, MakeChain(1, 100));
  const Dispatch dispatch = pool_.BeginDispatch(a, QueryOf(MakeChain(1, 3)), 0, clock_.Now());
  pool_.RemoveWorker(a);
  EXPECT_EQ(pool_.tree_runs(), 0u);
  const WorkerHandle b = AddReady("b");
  EXPECT_EQ(b.slot, a.slot);
  EXPECT_NE(b, a);
  pool_.EndDispatch(dispatch, StreamEnd::kOk, 5, clock_.Now());
  stores_[0]->Store(std::nullopt, MakeChain(1, 100));
  EXPECT_EQ(pool_.Status(b, clock_.Now()).active_streams, 0u);
  EXPECT_EQ(pool_.Status(b, clock_.Now()).tree_blocks, 0u);
}

TEST_F(RoutingPoolTest, AnEqualPoolSharesABurstEvenly) {
  for (const char* id : {"a", "b", "c", "d"}) AddReady(id);
  ReportAll();
  std::vector<int> counts(4, 0);
  for (uint64_t i = 0; i < 1000; ++i) {
    const std::vector<BlockHash> chain = MakeChain(i, 20);
    const auto decision = pool_.Route(QueryOf(chain), clock_.Now());
    pool_.BeginDispatch(decision->worker, QueryOf(chain), decision->matched_tokens, clock_.Now());
    ++counts[decision->worker.slot];
  }
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  EXPECT_LE(*most, 1.2 * *least);
}

// Readers, event appliers, reports and workers that come and go, for ThreadSanitizer.
TEST_F(RoutingPoolTest, ThreadsMayDoEverythingAtOnce) {
  AddReady("a");
  AddReady("b");
  ReportAll();
  const ChainFamily family(3, 20, 50);
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 300; ++i) {
        stores_[t]->Store(std::nullopt, family.chain(random));
        const BlockHash hash = family.chain(random).back();
        stores_[t]->Remove(std::span(&hash, 1));
        if (i % 100 == 0) stores_[t]->Reset();
        pool_.OnLoadReport(workers_[t], IdleReport(), clock_.Now());
      }
    });
    threads.emplace_back([&, t] {
      std::mt19937 random(t + 10);
      for (uint64_t i = 0; i < 300; ++i) {
        const std::vector<BlockHash>& chain = family.chain(random);
        const RouteQuery query{.blocks = chain, .prompt_tokens = 1000, .random = i};
        const auto decision = pool_.Route(query, clock_.Now());
        ASSERT_TRUE(decision.has_value());
        const Dispatch dispatch = pool_.BeginDispatch(decision->worker, query, 0, clock_.Now());
        pool_.OnFirstToken(dispatch, clock_.Now());
        pool_.EndDispatch(dispatch, StreamEnd::kOk, 10, clock_.Now());
      }
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < 50; ++i) {
      const WorkerHandle extra = pool_.AddWorker("extra");
      pool_.OnConnected(extra, clock_.Now());
      pool_.RemoveWorker(extra);
    }
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pool_.Status(workers_[0], clock_.Now()).active_streams, 0u);
}

}  // namespace
}  // namespace banyan::router
