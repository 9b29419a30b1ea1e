// Nothing starves: proofs by worst cases.
#include <gtest/gtest.h>

#include "tests/worker/engine/engine_fixture.h"
#include "worker/scheduler/scheduler.h"

namespace banyan::worker {
namespace {

using Fixture = EngineFixture;
using Sink = std::shared_ptr<testing::RecordingSink>;

Request WithPriority(Request request, Priority priority) {
  request.priority = priority;
  return request;
}

TEST(FairnessTest, ABatchRequestGetsThroughAFloodOfRealtimeOnes) {
  EngineOptions options = Fixture::SmallOptions();
  options.max_running_sequences = 2;
  Fixture fixture(options);
  std::vector<Sink> flood;
  const auto keep_flooding = [&] {
    while (fixture.engine().Stats().waiting_requests + static_cast<int32_t>(flood.size() % 2) < 6) {
      const int32_t n = static_cast<int32_t>(flood.size());
      flood.push_back(fixture.Submit(
          WithPriority(Fixture::MakeRequest("r" + std::to_string(n), Fixture::Prompt(6, n), 5),
                       Priority::kRealtime)));
      if (flood.size() % 3 == 0) break;
    }
  };
  for (int i = 0; i < 20; ++i) {
    keep_flooding();
    fixture.StepOnce();
  }
  const Sink batch = fixture.Submit(
      WithPriority(Fixture::MakeRequest("b", Fixture::Prompt(6, 999), 5), Priority::kBatch));
  int steps = 0;
  while (!batch->finished && steps < 2'000) {
    keep_flooding();
    fixture.StepOnce();
    ++steps;
  }
  EXPECT_TRUE(batch->finished) << "starved for " << steps << " steps";
  EXPECT_GT(steps, 10) << "the flood went first";
}

TEST(FairnessTest, TimeWaitedInTheRouterCounts) {
  EngineOptions options = Fixture::SmallOptions();
  options.max_running_sequences = 1;
  Fixture fixture(options);
  fixture.Submit(Fixture::MakeRequest("first", Fixture::Prompt(6, 0), 5));
  fixture.StepOnce();
  const Sink young = fixture.Submit(Fixture::MakeRequest("young", Fixture::Prompt(6, 1), 5));
  fixture.clock().Advance(std::chrono::milliseconds(10));
  Request old = Fixture::MakeRequest("old", Fixture::Prompt(6, 2), 5);
  old.waited = std::chrono::seconds(1);
  const Sink old_sink = fixture.Submit(old);
  while (!old_sink->finished) fixture.StepOnce();
  EXPECT_FALSE(young->started);
}

TEST(FairnessTest, ABigRequestIsOvertakenOnlyABoundedNumberOfTimes) {
  Fixture fixture;  // 64 blocks
  std::vector<Sink> small;
  const auto add_small = [&] {
    const int32_t n = static_cast<int32_t>(small.size());
    small.push_back(
        fixture.Submit(Fixture::MakeRequest("s" + std::to_string(n), Fixture::Prompt(8, n), 30)));
  };
  for (int i = 0; i < 4; ++i) add_small();
  for (int i = 0; i < 16; ++i) fixture.StepOnce();  // 24 blocks are held: the big one does not fit
  const Sink big =
      fixture.Submit(Fixture::MakeRequest("big", Fixture::Prompt(190, 777), 10));  // 50 blocks
  const size_t before = small.size();
  bool admitted = false;  // it is the fifth sequence
  fixture.executor().SetPlanObserver([&admitted](const StepPlan& plan) {
    for (const SequencePlan& sequence : plan.sequences) {
      admitted = admitted || sequence.sequence == SequenceId{4};
    }
  });
  int32_t overtook = 0;
  for (int step = 0; step < 3'000 && !admitted; ++step) {
    overtook = 0;
    for (size_t i = before; i < small.size(); ++i) overtook += small[i]->started ? 1 : 0;
    if (step % 5 == 0) add_small();
    fixture.StepOnce();
  }
  ASSERT_TRUE(admitted) << "starved";
  EXPECT_GT(overtook, 0) << "a request that does not fit must not block the queue at once";
  EXPECT_LE(overtook, Scheduler::kBypassMax);
}

TEST(FairnessTest, TheLowestClassesYoungestIsPreemptedAndKeepsItsPlace) {
  EngineOptions options = Fixture::SmallOptions();
  options.num_blocks = 32;  // two of the three fit to their end
  options.context_length = 100;
  Fixture fixture(options);
  const auto add = [&fixture](const char* id, int32_t salt, Priority priority) {
    const Sink sink = fixture.Submit(
        WithPriority(Fixture::MakeRequest(id, Fixture::Prompt(20, salt), 40), priority));
    fixture.StepOnce();
    return sink;
  };
  const Sink old_batch = add("old_batch", 1, Priority::kBatch);
  const Sink young_batch = add("young_batch", 2, Priority::kBatch);
  const Sink realtime = add("realtime", 3, Priority::kRealtime);
  while (fixture.engine().Stats().preemptions == 0) fixture.StepOnce();
  fixture.Run();
  EXPECT_GT(young_batch->timing.num_preemptions, 0);
  EXPECT_EQ(realtime->timing.num_preemptions, 0);
  EXPECT_EQ(old_batch->timing.num_preemptions, 0);
  EXPECT_TRUE(young_batch->status.ok());
  EXPECT_EQ(young_batch->samples.at(0).tokens,
            fixture.Expected(Fixture::MakeRequest("", Fixture::Prompt(20, 2), 40)));
}

TEST(FairnessTest, ALongPromptDoesNotHoldUpShortOnes) {
  EngineOptions options = Fixture::SmallOptions();
  options.context_length = 1000;
  options.num_blocks = 400;
  options.max_step_tokens = 16;
  Fixture fixture(options);
  const Sink big = fixture.Submit(Fixture::MakeRequest("long", Fixture::Prompt(900, 1), 4));
  fixture.StepOnce();
  const Sink quick = fixture.Submit(Fixture::MakeRequest("short", Fixture::Prompt(8, 2), 4));
  int steps = 0;
  while (!quick->started) {
    fixture.StepOnce();
    ++steps;
  }
  EXPECT_LE(steps, 2);
  EXPECT_FALSE(big->started);
  fixture.Run();
  EXPECT_TRUE(big->status.ok());
}

TEST(FairnessTest, DecodesAdvanceInEveryStepOfALongPrefill) {
  EngineOptions options = Fixture::SmallOptions();
  options.max_step_tokens = 8;
  Fixture fixture(options);
  const Sink decoding = fixture.Submit(Fixture::MakeRequest("d", Fixture::Prompt(4, 1), 20));
  fixture.StepOnce();
  fixture.Submit(Fixture::MakeRequest("p", Fixture::Prompt(150, 2), 4));
  for (size_t i = 2; i <= 15; ++i) {
    fixture.StepOnce();
    EXPECT_EQ(decoding->samples.at(0).tokens.size(), i);
  }
  fixture.Run();
}

TEST(FairnessTest, RequestsWithOnePromptWaitForTheFirstAndComputeItOnce) {
  Fixture fixture;
  std::vector<Sink> sinks;
  for (int32_t i = 0; i < 5; ++i) {
    sinks.push_back(
        fixture.Submit(Fixture::MakeRequest(std::to_string(i), Fixture::Prompt(102, i, 100), 4)));
  }
  fixture.Run();
  EXPECT_EQ(fixture.engine().Stats().prompt_tokens_computed, 102u + 4u * 2u);
  for (const Sink& sink : sinks) EXPECT_TRUE(sink->status.ok());
}

}  // namespace
}  // namespace banyan::worker
