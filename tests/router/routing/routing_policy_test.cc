#include "router/routing/routing_policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace banyan::router {
namespace {

CandidateWorker IdleWorker() {
  CandidateWorker worker;
  worker.step = {.base_s = 0.008,
                 .per_prefill_token_s = 1.0 / 16'000,
                 .per_sequence_s = 0.00005,
                 .per_kv_token_s = 5e-8};
  worker.step_tokens_max = 1024;
  worker.running_sequences_max = 128;
  worker.kv_tokens_total = 400'000;
  return worker;
}

RoutingRequest PromptOf(double tokens) {
  RoutingRequest request;
  request.prompt_tokens = tokens;
  return request;
}

CandidateWorker RandomWorker(std::mt19937& random) {
  const auto uniform = [&](double max) { return std::uniform_real_distribution(0.0, max)(random); };
  CandidateWorker worker = IdleWorker();
  worker.step.base_s = uniform(0.1);
  worker.step.per_prefill_token_s = uniform(0.001);
  worker.step.per_sequence_s = uniform(0.001);
  worker.step.per_kv_token_s = uniform(1e-6);
  worker.report_age_s = uniform(0.5);
  worker.waiting_prefill_tokens = uniform(20'000);
  worker.decoding_sequences = std::floor(uniform(120));
  worker.decoding_kv_tokens = uniform(300'000);
  worker.requests = worker.decoding_sequences + std::floor(uniform(30));
  worker.kv_tokens_active = uniform(400'000);
  worker.kv_tokens_pending = uniform(50'000);
  worker.kv_tokens_freed_per_s = uniform(10'000);
  worker.requests_finished_per_s = uniform(10);
  worker.unreported_requests = std::floor(uniform(10));
  worker.unreported_prefill_tokens = uniform(10'000);
  worker.matched_tokens = std::floor(uniform(8'000));
  return worker;
}

TEST(RoutingPolicyTest, PrefersTheWorkerThatHoldsThePrefix) {
  std::vector<CandidateWorker> workers(4, IdleWorker());
  workers[2].matched_tokens = 4000;
  const auto choice = Choose(workers, PromptOf(8000));
  EXPECT_EQ(choice->index, 2u);
  EXPECT_EQ(choice->reason, RoutingReason::kPrefix);
}

TEST(RoutingPolicyTest, PassesOverAPrefixWhoseWorkerIsBusierThanTheGain) {
  std::vector<CandidateWorker> workers(2, IdleWorker());
  workers[0].matched_tokens = 512;
  workers[0].requests = 40;
  workers[0].waiting_prefill_tokens = 60'000;
  const auto choice = Choose(workers, PromptOf(1000));
  EXPECT_EQ(choice->index, 1u);
  EXPECT_EQ(choice->reason, RoutingReason::kPrefixTooBusy);
}

TEST(RoutingPolicyTest, WithoutAPrefixLoadDecides) {
  std::vector<CandidateWorker> workers(3, IdleWorker());
  workers[0].waiting_prefill_tokens = 5000;
  workers[1].requests = 3;
  const auto choice = Choose(workers, PromptOf(1000));
  EXPECT_EQ(choice->index, 2u);
  EXPECT_EQ(choice->reason, RoutingReason::kLoad);
}

TEST(RoutingPolicyTest, SaysWhenThereWasNoChoice) {
  EXPECT_FALSE(Choose({}, PromptOf(10)).has_value());
  const std::vector<CandidateWorker> one(1, IdleWorker());
  EXPECT_EQ(Choose(one, PromptOf(10))->reason, RoutingReason::kOnlyCandidate);
}

TEST(RoutingPolicyTest, ASessionBreaksTiesAndNothingElse) {
  std::vector<CandidateWorker> workers(3, IdleWorker());
  workers[0].session_rank = 5;
  workers[1].session_rank = 9;
  workers[2].session_rank = 7;
  RoutingRequest request = PromptOf(1000);
  request.has_session = true;
  EXPECT_EQ(Choose(workers, request)->index, 1u);
  EXPECT_EQ(Choose(workers, request)->reason, RoutingReason::kSession);
  workers[2].matched_tokens = 900;
  EXPECT_EQ(Choose(workers, request)->index, 2u);
  EXPECT_EQ(Choose(workers, request)->reason, RoutingReason::kPrefix);
}

TEST(RoutingPolicyTest, AFullWorkerWaitsForMemoryAndForPlaces) {
  CandidateWorker worker = IdleWorker();
  const double free = CostOf(worker, PromptOf(1000)).ttft_s;
  worker.kv_tokens_active = 400'000;
  worker.kv_tokens_freed_per_s = 1000;
  EXPECT_NEAR(CostOf(worker, PromptOf(1000)).ttft_s - free, 1.2, 1e-9);
  worker.requests = 128;
  worker.requests_finished_per_s = 0.5;
  EXPECT_GT(CostOf(worker, PromptOf(1000)).ttft_s - free, 2.0);
}

class RoutingPolicyPropertyTest : public ::testing::TestWithParam<uint32_t> {};

TEST_P(RoutingPolicyPropertyTest, IsPureAndNeverReturnsAnOtherThanTheCheapest) {
  std::mt19937 random(GetParam());
  for (int round = 0; round < 2000; ++round) {
    std::vector<CandidateWorker> workers(1 + random() % 10);
    for (CandidateWorker& worker : workers) worker = RandomWorker(random);
    RoutingRequest request = PromptOf(static_cast<double>(1 + random() % 10000));
    request.random = random();
    const auto one = Choose(workers, request);
    const auto two = Choose(workers, request);
    ASSERT_EQ(one->index, two->index);
    ASSERT_EQ(one->reason, two->reason);
    for (const RoutingCost& cost : one->costs) {
      ASSERT_TRUE(std::isfinite(cost.total));
      ASSERT_LE(one->costs[one->index].total, cost.total * 1.001);
    }
  }
}

TEST_P(RoutingPolicyPropertyTest, MoreCacheLessQueueOrFasterNeverRaisesTheCost) {
  std::mt19937 random(GetParam());
  for (int round = 0; round < 5000; ++round) {
    const CandidateWorker before = RandomWorker(random);
    CandidateWorker after = before;
    const double keep = std::uniform_real_distribution(0.0, 1.0)(random);
    switch (round % 7) {
      case 0:
        after.matched_tokens += 500;
        break;
      case 1:
        after.waiting_prefill_tokens *= keep;
        break;
      case 2:
        after.step.base_s *= keep;
        after.step.per_prefill_token_s *= keep;
        break;
      case 3:
        after.unreported_requests *= keep;
        after.unreported_prefill_tokens *= keep;
        break;
      case 4:
        after.kv_tokens_active *= keep;
        after.kv_tokens_pending *= keep;
        break;
      case 5:
        after.decoding_sequences = std::floor(after.decoding_sequences * keep);
        after.decoding_kv_tokens *= keep;
        break;
      default:
        after.step.per_sequence_s *= keep;
        after.step.per_kv_token_s *= keep;
    }
    const RoutingRequest request = PromptOf(static_cast<double>(1 + random() % 10000));
    const double raised = CostOf(after, request).total - CostOf(before, request).total;
    ASSERT_LE(raised, 1e-9 * CostOf(before, request).total) << "case " << round % 7;
  }
}

TEST_P(RoutingPolicyPropertyTest, EqualWorkersShareABurstEvenly) {
  std::mt19937 random(GetParam());
  std::vector<CandidateWorker> workers(8, IdleWorker());
  std::vector<int> counts(workers.size(), 0);
  for (int i = 0; i < 1000; ++i) {
    RoutingRequest request = PromptOf(static_cast<double>(200 + random() % 2000));
    request.random = random();
    const size_t index = Choose(workers, request)->index;
    ++counts[index];
    workers[index].unreported_requests += 1;
    workers[index].unreported_prefill_tokens += request.prompt_tokens;
  }
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  EXPECT_LE(*most, 1.2 * *least);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RoutingPolicyPropertyTest, ::testing::Range(1u, 9u));

TEST(SampleCandidatesTest, OneRouterWeighsEveryoneAndSeveralWeighASample) {
  std::vector<uint32_t> matched(100, 0);
  for (size_t i = 0; i < 30; ++i) matched[i] = 16;
  matched[77] = 640;
  EXPECT_EQ(SampleCandidates(matched, 1, 1).size(), 100u);
  for (uint64_t random = 0; random < 200; ++random) {
    const std::vector<size_t> sample = SampleCandidates(matched, 4, random);
    EXPECT_LE(sample.size(), 17u);
    EXPECT_GE(sample.size(), 9u);
    EXPECT_TRUE(std::binary_search(sample.begin(), sample.end(), 77u));
    EXPECT_EQ(SampleCandidates(matched, 4, random), sample);
  }
}

}  // namespace
}  // namespace banyan::router
