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

}  // namespace
}  // namespace banyan::worker
