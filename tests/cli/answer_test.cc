#include "cli/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/generation_options.h"

namespace banyan::cli {
namespace {

TEST(AnswerTest, DeltasOfSeveralSamplesAreJoinedByIndex) {
  Answer answer;
  v1::GenerateResponse first;
  first.mutable_start()->set_request_id("r1");
  v1::SampleDelta* delta = first.add_samples();
  delta->set_index(1);
  delta->set_text("b");
  delta->add_token_ids(7);
  answer.Add(first);
  v1::GenerateResponse last;
  delta = last.add_samples();
  delta->set_index(0);
  delta->set_text("a");
  delta = last.add_samples();
  delta->set_index(1);
  delta->set_text("c");
  delta->add_token_ids(8);
  delta->set_finish_reason(v1::FINISH_REASON_STOP);
  last.mutable_usage()->set_prompt_tokens(5);
  answer.Add(last);

  ASSERT_EQ(answer.samples.size(), 2u);
  EXPECT_EQ(answer.samples[0].text, "a");
  EXPECT_EQ(answer.samples[1].text, "bc");
  const auto json = nlohmann::json::parse(answer.ToJson());
  EXPECT_EQ(json["request_id"], "r1");
  EXPECT_EQ(json["samples"][1]["token_ids"], nlohmann::json({7, 8}));
  EXPECT_EQ(json["samples"][1]["finish_reason"], "stop");
  EXPECT_EQ(json["usage"]["prompt_tokens"], 5);
}

TEST(AnswerTest, LogprobsOfBytesThatAreNoUtf8StillMakeJson) {
  Answer answer;
  v1::GenerateResponse response;
  v1::TokenLogprobs* logprobs = response.add_samples()->mutable_logprobs();
  logprobs->add_token_ids(3);
  logprobs->add_logprobs(-0.5f);
  logprobs->set_num_top(1);
  logprobs->add_top_token_ids(4);
  logprobs->add_top_logprobs(-0.25f);
  logprobs->add_token_bytes("\xff");
  logprobs->add_top_token_bytes("x");
  answer.Add(response);
  const auto json = nlohmann::json::parse(answer.ToJson());
  const auto row = json["samples"][0]["logprobs"][0];
  EXPECT_EQ(row["logprob"], -0.5);
  EXPECT_EQ(row["token"], "\xEF\xBF\xBD");
  EXPECT_EQ(row["top"][0]["token"], "x");
}

TEST(GenerationOptionsTest, AbsentFlagsLeaveTheModelsDefaults) {
  v1::GenerateRequest request;
  ASSERT_TRUE(GenerationOptions{}.Apply(request).ok());
  EXPECT_FALSE(request.sampling().has_temperature());
  EXPECT_FALSE(request.sampling().has_max_tokens());
  EXPECT_FALSE(request.sampling().has_seed());
}

TEST(GenerationOptionsTest, FlagsReachTheRequestAndBadNumbersNameTheFlag) {
  GenerationOptions options;
  options.temperature = "0";
  options.top_k = 5;
  options.seed = -1;
  options.stop = {"END"};
  v1::GenerateRequest request;
  ASSERT_TRUE(options.Apply(request).ok());
  EXPECT_EQ(request.sampling().temperature(), 0);
  EXPECT_TRUE(request.sampling().has_temperature());
  EXPECT_EQ(request.sampling().top_k(), 5u);
  EXPECT_EQ(request.sampling().seed(), ~uint64_t{0});
  EXPECT_EQ(request.stop(0), "END");
  options.logit_bias = {"7=-100", "9=1.5"};
  options.stop_token_ids = {"3"};
  options.repetition_penalty = "1.1";
  ASSERT_TRUE(options.Apply(request).ok());
  EXPECT_EQ(request.sampling().logit_bias().at(7), -100);
  EXPECT_EQ(request.sampling().stop_token_ids(0), 3u);
  EXPECT_EQ(request.sampling().repetition_penalty(), 1.1f);
  options.logit_bias = {"7"};
  EXPECT_THAT(std::string(options.Apply(request).message()),
              ::testing::HasSubstr("--logit-bias: want ID=BIAS"));
  options.logit_bias.clear();
  options.top_p = "much";
  EXPECT_THAT(std::string(options.Apply(request).message()),
              ::testing::HasSubstr("--top-p: want a number"));
}

}  // namespace
}  // namespace banyan::cli
