// Requests through the whole engine, one behaviour a test.
#include "worker/engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/engine/engine_fixture.h"

namespace banyan::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

using Fixture = EngineFixture;

TEST(EngineTest, DrawsWhatTheOracleSays) {
  Fixture fixture;
  const Request request = Fixture::MakeRequest("a", Fixture::Prompt(50, 1), 20);
  const auto sink = fixture.Submit(request);
  fixture.Run();
  ASSERT_TRUE(sink->finished);
  EXPECT_TRUE(sink->status.ok()) << sink->status;
  EXPECT_EQ(sink->samples.at(0).tokens, fixture.Expected(request));
  EXPECT_EQ(sink->samples.at(0).finish, FinishReason::kLength);
  EXPECT_EQ(sink->usage.prompt_tokens, 50);
  EXPECT_EQ(sink->usage.completion_tokens, 20);
  EXPECT_EQ(fixture.engine().Stats().blocks_used, 0);
}

TEST(EngineTest, FindsAPrefixThatWasComputedBefore) {
  Fixture fixture;
  const Request first = Fixture::MakeRequest("a", Fixture::Prompt(50, 1, 40), 4);
  const Request second = Fixture::MakeRequest("b", Fixture::Prompt(50, 2, 40), 4);
  fixture.Submit(first);
  fixture.Run();
  const auto sink = fixture.Submit(second);
  fixture.Run();
  EXPECT_EQ(sink->usage.cached_tokens, 40);
  EXPECT_EQ(sink->samples.at(0).tokens, fixture.Expected(second));
}

TEST(EngineTest, AnotherSaltFindsNothing) {
  Fixture fixture;
  Request request = Fixture::MakeRequest("a", Fixture::Prompt(50, 1), 4);
  fixture.Submit(request);
  fixture.Run();
  request.id = "b";
  request.cache_salt = {1, 2};
  const auto sink = fixture.Submit(request);
  fixture.Run();
  EXPECT_EQ(sink->usage.cached_tokens, 0);
}

TEST(EngineTest, SamplesShareThePromptAndDiverge) {
  Fixture fixture;
  Request request = Fixture::MakeRequest("a", Fixture::Prompt(30, 1), 9);
  request.sampling.num_samples = 4;
  const auto sink = fixture.Submit(request);
  fixture.StepOnce();
  EXPECT_EQ(fixture.engine().Stats().blocks_used, 8) << "30 tokens in blocks of 4, held once";
  fixture.Run();
  ASSERT_THAT(sink->samples, SizeIs(4));
  for (int32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(sink->samples.at(i).tokens, fixture.Expected(request, i)) << i;
  }
  EXPECT_NE(sink->samples.at(0).tokens, sink->samples.at(1).tokens);
  EXPECT_EQ(sink->usage.prompt_tokens, 30);
  EXPECT_EQ(sink->usage.completion_tokens, 36);
}

TEST(EngineTest, RefusesWhatCanNeverFit) {
  Fixture fixture;
  const absl::Status status =
      fixture.engine().Submit(Fixture::MakeRequest("a", Fixture::Prompt(150, 1), 50),
                              std::make_shared<::banyan::testing::RecordingSink>());
  EXPECT_TRUE(status.ok()) << "199 tokens need 50 of 64 blocks";
  EngineOptions options = Fixture::SmallOptions();
  options.num_blocks = 49;
  Fixture small(options);
  const absl::Status refused =
      small.engine().Submit(Fixture::MakeRequest("a", Fixture::Prompt(150, 1), 50),
                            std::make_shared<::banyan::testing::RecordingSink>());
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("need 50 blocks, the pool has 49"));
}

TEST(EngineTest, RefusesMalformedRequestsByField) {
  Fixture fixture;
  const auto refuse = [&fixture](const Request& request) {
    const absl::Status status =
        fixture.engine().Submit(request, std::make_shared<::banyan::testing::RecordingSink>());
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  Request request = Fixture::MakeRequest("a", {1, 500}, 4);
  EXPECT_THAT(refuse(request), HasSubstr("prompt: token 500 is outside [0, 101)"));
  request.prompt.clear();
  EXPECT_THAT(refuse(request), HasSubstr("prompt"));
  request.prompt.assign(190, 1);
  request.sampling.max_tokens = 11;
  EXPECT_THAT(refuse(request), HasSubstr("max_tokens: 11 is outside [1, 10]"));
  request.sampling.max_tokens = 4;
  request.sampling.num_samples = 9;
  EXPECT_THAT(refuse(request), HasSubstr("num_samples: 9"));
  request.sampling.num_samples = 1;
  request.resume.resize(2);
  EXPECT_THAT(refuse(request), HasSubstr("resume"));
}

TEST(EngineTest, BadOptionsAreNamed) {
  FakeClock clock;
  ::banyan::testing::ToyExecutor executor({1, 4, 100, {}, nullptr, {}, {}, {}});
  EngineOptions options = Fixture::SmallOptions();
  options.max_step_tokens = 3;
  const auto engine = Engine::Create(options, executor, clock);
  EXPECT_EQ(engine.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(engine.status().message()), HasSubstr("max_step_tokens: 3"));
}

TEST(EngineTest, FullQueueAndTakenIdsAreRefusedWithNumbers) {
  EngineOptions options = Fixture::SmallOptions();
  options.max_waiting_requests = 2;
  Fixture fixture(options);
  const Request a = Fixture::MakeRequest("a", Fixture::Prompt(5, 1), 4);
  const Request b = Fixture::MakeRequest("b", Fixture::Prompt(5, 1), 4);
  const auto sink = std::make_shared<::banyan::testing::RecordingSink>();
  fixture.Submit(a);
  EXPECT_EQ(fixture.engine().Submit(a, sink).code(), absl::StatusCode::kAlreadyExists);
  fixture.Submit(b);
  const absl::Status full =
      fixture.engine().Submit(Fixture::MakeRequest("c", Fixture::Prompt(5, 1), 4), sink);
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()), HasSubstr("2 requests wait, limit 2"));
  EXPECT_EQ(fixture.engine().Stats().inbox_rejected, 2u);
  fixture.Run();
  fixture.Submit(a);
  fixture.Run();
}

TEST(EngineTest, CancelFreesBlocksInEveryPhase) {
  Fixture fixture;
  for (const int steps_before : {0, 1, 3, 8}) {
    Request request = Fixture::MakeRequest("a", Fixture::Prompt(80, steps_before), 60);
    request.sampling.num_samples = 3;
    const auto sink = fixture.Submit(request);
    for (int i = 0; i < steps_before; ++i) fixture.StepOnce();
    fixture.engine().Cancel("a");
    EXPECT_FALSE(fixture.StepOnce());
    EXPECT_TRUE(sink->finished);
    EXPECT_EQ(sink->status.code(), absl::StatusCode::kCancelled);
    EXPECT_EQ(fixture.engine().Stats().blocks_used, 0) << "after " << steps_before << " steps";
  }
  fixture.engine().Cancel("unknown");
  fixture.Run();
}

TEST(EngineTest, DeadlineAndQueueLimitEndRequests) {
  EngineOptions options = Fixture::SmallOptions();
  options.max_running_sequences = 1;
  Fixture fixture(options);
  Request running = Fixture::MakeRequest("a", Fixture::Prompt(5, 1), 100);
  running.deadline = fixture.clock().Now() + std::chrono::milliseconds(10);
  Request waiting = Fixture::MakeRequest("b", Fixture::Prompt(5, 2), 4);
  waiting.max_queue = std::chrono::milliseconds(5);
  const auto running_sink = fixture.Submit(running);
  const auto waiting_sink = fixture.Submit(waiting);
  fixture.Run();
  EXPECT_EQ(running_sink->status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(running_sink->samples.at(0).tokens.size(), 10u) << "what was drawn in time was sent";
  EXPECT_EQ(waiting_sink->status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(waiting_sink->status.message()), HasSubstr("QUEUE_TIMEOUT"));
}

TEST(EngineTest, AResumedRequestDrawsTheSameAndSendsOnlyWhatFollows) {
  Fixture fixture;
  Request request = Fixture::MakeRequest("a", Fixture::Prompt(20, 1), 12);
  request.sampling.num_samples = 3;
  request.sampling.repetition_penalty = 1.5f;
  std::vector<std::vector<TokenId>> full;
  for (int32_t i = 0; i < 3; ++i) full.push_back(fixture.Expected(request, i));
  // The first had five tokens, the second none, the third was finished.
  request.resume.resize(3);
  request.resume[0].output.assign(full[0].begin(), full[0].begin() + 5);
  request.resume[2] = {full[2], true};
  request.resumed_cached_tokens = 16;
  const auto sink = fixture.Submit(request);
  fixture.Run();
  ASSERT_THAT(sink->samples, SizeIs(2));
  EXPECT_EQ(sink->samples.at(0).first_position, 5);
  EXPECT_EQ(sink->samples.at(0).tokens, (std::vector<TokenId>(full[0].begin() + 5, full[0].end())));
  EXPECT_EQ(sink->samples.at(1).tokens, full[1]);
  EXPECT_EQ(sink->usage.completion_tokens, 36);
  EXPECT_EQ(sink->usage.cached_tokens, 16);
}

TEST(EngineTest, AResumedSampleThatHadReachedItsEndIsOnlyReported) {
  Fixture fixture;
  Request request = Fixture::MakeRequest("a", Fixture::Prompt(20, 1), 3);
  request.resume = {{fixture.Expected(request), false}};
  const auto sink = fixture.Submit(request);
  fixture.Run();
  EXPECT_TRUE(sink->status.ok());
  EXPECT_TRUE(sink->samples.at(0).tokens.empty());
  EXPECT_EQ(sink->samples.at(0).finish, FinishReason::kLength);
}

TEST(EngineTest, StopSamplesEndsOnlyThose) {
  Fixture fixture;
  Request request = Fixture::MakeRequest("a", Fixture::Prompt(20, 1), 12);
  request.sampling.num_samples = 3;
  const auto sink = fixture.Submit(request);
  fixture.engine().StopSamples("a", std::vector<int32_t>{2});
  for (int i = 0; i < 4; ++i) fixture.StepOnce();
  fixture.engine().StopSamples("a", std::vector<int32_t>{0, 17});
  fixture.Run();
  EXPECT_TRUE(sink->status.ok());
  EXPECT_EQ(sink->samples.at(0).finish, FinishReason::kStop);
  EXPECT_EQ(sink->samples.at(0).tokens.size(), 4u);
  EXPECT_EQ(sink->samples.at(1).tokens, fixture.Expected(request, 1));
  EXPECT_EQ(sink->samples.at(2).finish, FinishReason::kStop);
  EXPECT_TRUE(sink->samples.at(2).tokens.empty()) << "stopped before its first token";
}

TEST(EngineTest, PromptLogprobsSpanChunksAndIgnoreTheCache) {
  Fixture fixture;
  Request request = Fixture::MakeRequest("a", Fixture::Prompt(90, 1), 2);
  fixture.Submit(request);
  fixture.Run();
  request.id = "b";
  request.sampling.num_prompt_logprobs = 2;
  const auto sink = fixture.Submit(request);
  fixture.Run();
  EXPECT_EQ(sink->usage.cached_tokens, 0);
  ASSERT_THAT(sink->prompt_logprobs.tokens, SizeIs(89));
  EXPECT_THAT(sink->prompt_logprobs.top_tokens, SizeIs(178));
  for (size_t i = 0; i < 89; ++i) {
    EXPECT_EQ(sink->prompt_logprobs.tokens[i], request.prompt[i + 1]);
  }
  EXPECT_EQ(sink->samples.at(0).tokens, fixture.Expected(request));
}

TEST(EngineTest, PromptLogprobTablesAreBounded) {
  EngineOptions options = Fixture::SmallOptions();
  options.prompt_logprobs_bytes_max = 1000;
  Fixture fixture(options);
  Request request = Fixture::MakeRequest("a", Fixture::Prompt(100, 1), 2);
  request.sampling.num_prompt_logprobs = 0;
  fixture.Submit(request);
  request.id = "b";
  const absl::Status status =
      fixture.engine().Submit(request, std::make_shared<::banyan::testing::RecordingSink>());
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  fixture.Run();
  fixture.Submit(request);
  fixture.Run();
}

TEST(EngineTest, NonFiniteLogitsFailOnlyTheirRequest) {
  Fixture fixture;
  Request poisoned = Fixture::MakeRequest("a", Fixture::Prompt(20, 1), 4);
  poisoned.prompt[10] = 100;
  const Request healthy = Fixture::MakeRequest("b", Fixture::Prompt(8, 2), 4);
  const auto poisoned_sink = fixture.Submit(poisoned);
  const auto healthy_sink = fixture.Submit(healthy);
  fixture.Run();
  EXPECT_EQ(poisoned_sink->status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(poisoned_sink->status.message()), HasSubstr("NON_FINITE_LOGITS"));
  EXPECT_EQ(healthy_sink->samples.at(0).tokens, fixture.Expected(healthy));
  EXPECT_EQ(fixture.engine().Stats().numeric_faults, 1u);
}

TEST(EngineTest, AnExecutorErrorEndsEverythingForGood) {
  Fixture fixture;
  const auto running = fixture.Submit(Fixture::MakeRequest("a", Fixture::Prompt(20, 1), 9));
  fixture.StepOnce();
  const auto waiting = fixture.Submit(Fixture::MakeRequest("b", Fixture::Prompt(20, 2), 9));
  fixture.executor().FailNext(absl::InternalError("rank 1 is gone"));
  EXPECT_EQ(fixture.engine().Step().status().code(), absl::StatusCode::kInternal);
  for (const auto& sink : {running, waiting}) {
    ASSERT_TRUE(sink->finished);
    EXPECT_THAT(std::string(sink->status.message()), HasSubstr("ENGINE_FAULT: rank 1 is gone"));
  }
  EXPECT_EQ(fixture.engine().Stats().state, EngineState::kFailed);
  EXPECT_EQ(fixture.engine().Stats().blocks_used, 0);
  EXPECT_EQ(
      fixture.engine().Submit(Fixture::MakeRequest("c", Fixture::Prompt(20, 2), 9), running).code(),
      absl::StatusCode::kUnavailable);
  EXPECT_FALSE(fixture.engine().Step().ok());
}

TEST(EngineTest, DrainHandsWaitingRequestsOverAndFinishesRunningOnes) {
  EngineOptions options = Fixture::SmallOptions();
  options.max_running_sequences = 1;
  Fixture fixture(options);
  const auto running = fixture.Submit(Fixture::MakeRequest("a", Fixture::Prompt(5, 1), 9));
  const auto waiting = fixture.Submit(Fixture::MakeRequest("b", Fixture::Prompt(5, 2), 9));
  fixture.StepOnce();
  fixture.engine().Drain(fixture.clock().Now() + std::chrono::seconds(1));
  EXPECT_EQ(fixture.engine().Stats().state, EngineState::kDraining);
  fixture.StepOnce();
  EXPECT_EQ(waiting->status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(
      fixture.engine().Submit(Fixture::MakeRequest("c", Fixture::Prompt(5, 2), 9), waiting).code(),
      absl::StatusCode::kUnavailable);
  fixture.Run();
  EXPECT_TRUE(running->status.ok());
  EXPECT_EQ(fixture.engine().Stats().state, EngineState::kDrained);
  fixture.engine().Undrain();
  fixture.Submit(Fixture::MakeRequest("d", Fixture::Prompt(5, 2), 9));
  fixture.Run();
}

TEST(EngineTest, ADrainDeadlineHandsRunningRequestsOverAfterTheirTokens) {
  Fixture fixture;
  const Request request = Fixture::MakeRequest("a", Fixture::Prompt(5, 1), 90);
  const auto sink = fixture.Submit(request);
  for (int i = 0; i < 3; ++i) fixture.StepOnce();
  fixture.engine().Drain(fixture.clock().Now() + std::chrono::seconds(9));
  fixture.StepOnce();
  fixture.engine().Drain(fixture.clock().Now());  // a later call shortens
  fixture.Run();
  EXPECT_EQ(sink->status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(sink->samples.at(0).tokens.size(), 4u);
  EXPECT_EQ(fixture.engine().Stats().state, EngineState::kDrained);
}

TEST(EngineTest, IdleTurnsAreHeartbeats) {
  Fixture fixture;
  for (int i = 0; i < 3; ++i) fixture.StepOnce();
  EXPECT_EQ(fixture.engine().Stats().heartbeats, 3u);
  EXPECT_EQ(fixture.engine().Stats().steps, 0u);
}

}  // namespace
}  // namespace banyan::worker
