#include "worker/service/request_conversion.h"

#include <cmath>
#include <functional>

#include "common/rpc/errors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace banyan::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr char kFingerprint[] = "0123456789abcdef0123456789abcdef";

ConversionLimits Limits() {
  return {.model_fingerprint = kFingerprint, .context_length = 64, .vocabulary_size = 100};
}

v1::GenerateTokensRequest ValidRequest() {
  v1::GenerateTokensRequest request;
  request.set_request_id("r1");
  request.set_model_fingerprint(kFingerprint);
  for (const uint32_t token : {5u, 6u, 7u}) request.add_prompt_token_ids(token);
  request.mutable_sampling()->set_seed(42);
  request.set_priority(v1::PRIORITY_BATCH);
  request.set_cache_salt(std::string(15, '\0') + "\1");
  return request;
}

TEST(RequestConversionTest, ResolvesEveryDefault) {
  const auto request = ConvertRequest(ValidRequest(), Limits());
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->id, "r1");
  EXPECT_THAT(request->prompt, ElementsAre(5, 6, 7));
  EXPECT_EQ(request->priority, Priority::kBatch);
  EXPECT_EQ(request->cache_salt, (BlockHash{0, 1}));
  EXPECT_EQ(request->max_queue, std::nullopt);
  EXPECT_EQ(request->deadline, std::nullopt);
  EXPECT_TRUE(request->resume.empty());
  const SamplingParams& sampling = request->sampling;
  EXPECT_EQ(sampling.temperature, 1);
  EXPECT_EQ(sampling.top_p, 1);
  EXPECT_EQ(sampling.top_k, 0);
  EXPECT_EQ(sampling.min_p, 0);
  EXPECT_EQ(sampling.repetition_penalty, 1);
  EXPECT_EQ(sampling.max_tokens, 61);
  EXPECT_EQ(sampling.num_samples, 1);
  EXPECT_EQ(sampling.seed, 42u);
  EXPECT_EQ(sampling.num_logprobs, std::nullopt);
}

TEST(RequestConversionTest, TheModelsOwnDefaultsFillAbsentFields) {
  ConversionLimits limits = Limits();
  limits.defaults = {.temperature = 0.6f,
                     .top_p = 0.9f,
                     .top_k = 1'000,
                     .min_p = 0.05f,
                     .repetition_penalty = 1.1f};
  auto request = ConvertRequest(ValidRequest(), limits);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->sampling.temperature, 0.6f);
  EXPECT_EQ(request->sampling.top_p, 0.9f);
  EXPECT_EQ(request->sampling.top_k, 100);
  EXPECT_EQ(request->sampling.min_p, 0.05f);
  EXPECT_EQ(request->sampling.repetition_penalty, 1.1f);
  v1::GenerateTokensRequest wire = ValidRequest();
  wire.mutable_sampling()->set_temperature(0);
  wire.mutable_sampling()->set_top_k(0);
  request = ConvertRequest(wire, limits);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->sampling.temperature, 0);
  EXPECT_EQ(request->sampling.top_k, 0);
}

TEST(RequestConversionTest, TakesOverWhatIsSet) {
  v1::GenerateTokensRequest wire = ValidRequest();
  wire.set_waited_us(1'500);
  wire.set_max_queue_ms(250);
  v1::SamplingParams& sampling = *wire.mutable_sampling();
  sampling.set_temperature(0.001f);
  sampling.set_max_tokens(9);
  sampling.set_min_tokens(9);
  sampling.set_num_samples(2);
  sampling.set_num_logprobs(0);
  sampling.set_num_prompt_logprobs(20);
  (*sampling.mutable_logit_bias())[99] = -100;
  (*sampling.mutable_logit_bias())[3] = 1.5f;
  for (const uint32_t id : {9u, 4u, 9u}) sampling.add_allowed_token_ids(id);
  for (const uint32_t id : {8u, 2u}) sampling.add_stop_token_ids(id);
  const auto request = ConvertRequest(wire, Limits());
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->waited, std::chrono::microseconds(1'500));
  EXPECT_EQ(request->max_queue, std::chrono::milliseconds(250));
  EXPECT_EQ(request->sampling.temperature, 0.01f);
  EXPECT_EQ(request->sampling.min_tokens, 9);
  EXPECT_EQ(request->sampling.num_samples, 2);
  EXPECT_EQ(request->sampling.num_logprobs, 0);
  EXPECT_EQ(request->sampling.num_prompt_logprobs, 20);
  EXPECT_THAT(request->sampling.logit_bias, ElementsAre(Pair(3, 1.5f), Pair(99, -100.0f)));
  EXPECT_THAT(request->sampling.allowed_token_ids, ElementsAre(4, 9));
  EXPECT_THAT(request->sampling.stop_token_ids, ElementsAre(2, 8));
}

TEST(RequestConversionTest, TakesOverWhereASampleHadCome) {
  v1::GenerateTokensRequest wire = ValidRequest();
  wire.mutable_sampling()->set_num_samples(2);
  wire.mutable_sampling()->set_max_tokens(3);
  v1::ResumeState& resume = *wire.mutable_resume();
  resume.set_attempt(1);
  resume.set_cached_tokens(2);
  for (const uint32_t id : {10u, 11u}) resume.add_samples()->add_output_token_ids(id);
  for (const uint32_t id : {12u, 13u}) resume.mutable_samples(1)->add_output_token_ids(id);
  resume.mutable_samples(1)->set_finished(true);
  const auto request = ConvertRequest(wire, Limits());
  ASSERT_TRUE(request.ok()) << request.status();
  ASSERT_EQ(request->resume.size(), 2u);
  EXPECT_THAT(request->resume[0].output, ElementsAre(10));
  EXPECT_FALSE(request->resume[0].finished);
  EXPECT_THAT(request->resume[1].output, ElementsAre(11, 12, 13));
  EXPECT_TRUE(request->resume[1].finished);
  EXPECT_EQ(request->resumed_cached_tokens, 2);
}

// One bad field each: what breaks it, the field that must be named, words that must be said.
struct BadField {
  const char* name;
  std::function<void(v1::GenerateTokensRequest&)> spoil;
  const char* field;
  std::vector<const char*> words;
};

v1::SamplingParams& Sampling(v1::GenerateTokensRequest& wire) { return *wire.mutable_sampling(); }

v1::SampleProgress& AddProgress(v1::GenerateTokensRequest& wire) {
  wire.mutable_resume()->set_attempt(1);
  return *wire.mutable_resume()->add_samples();
}

std::vector<BadField> IdentityFields() {
  using R = v1::GenerateTokensRequest;
  return {
      {"NoId", [](R& r) { r.set_request_id(""); }, "request_id", {"1 to 64", "\"\""}},
      {"BadId", [](R& r) { r.set_request_id("a/b"); }, "request_id", {"\"a/b\""}},
      {"LongId", [](R& r) { r.set_request_id(std::string(70, 'x')); }, "request_id", {"1 to 64"}},
      {"NoPriority", [](R& r) { r.set_priority(v1::PRIORITY_UNSPECIFIED); }, "priority", {"0"}},
      {"UnknownPriority",
       [](R& r) { r.set_priority(static_cast<v1::Priority>(9)); },
       "priority",
       {"9"}},
      {"ShortSalt", [](R& r) { r.set_cache_salt("x"); }, "cache_salt", {"16 bytes", "1 bytes"}},
      {"Waited", [](R& r) { r.set_waited_us(UINT64_MAX); }, "waited_us", {"86400000000"}},
      {"MaxQueue", [](R& r) { r.set_max_queue_ms(3'600'001); }, "max_queue_ms", {"3600001"}},
      {"EmptyPrompt", [](R& r) { r.clear_prompt_token_ids(); }, "prompt_token_ids", {"1 to 63"}},
      {"PromptToken",
       [](R& r) { r.set_prompt_token_ids(1, 100); },
       "prompt_token_ids[1]",
       {"[0, 100)", "100"}},
      {"NoSampling", [](R& r) { r.clear_sampling(); }, "sampling", {"must be set"}},
      {"NoSeed", [](R& r) { Sampling(r).clear_seed(); }, "sampling.seed", {"must be set"}},
  };
}

std::vector<BadField> NumberFields() {
  using R = v1::GenerateTokensRequest;
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  return {
      {"Hot", [](R& r) { Sampling(r).set_temperature(10.5f); }, "sampling.temperature", {"10.5"}},
      {"Cold", [](R& r) { Sampling(r).set_temperature(-1); }, "sampling.temperature", {"[0, 10]"}},
      {"NanTemperature",
       [](R& r) { Sampling(r).set_temperature(kNan); },
       "sampling.temperature",
       {"nan"}},
      {"TopPZero", [](R& r) { Sampling(r).set_top_p(0); }, "sampling.top_p", {"(0, 1]"}},
      {"TopPNan", [](R& r) { Sampling(r).set_top_p(kNan); }, "sampling.top_p", {"nan"}},
      {"TopK", [](R& r) { Sampling(r).set_top_k(101); }, "sampling.top_k", {"[0, 100]", "101"}},
      {"TopKHuge", [](R& r) { Sampling(r).set_top_k(UINT32_MAX); }, "sampling.top_k", {"429496"}},
      {"MinP", [](R& r) { Sampling(r).set_min_p(1.5f); }, "sampling.min_p", {"[0, 1]"}},
      {"Presence",
       [](R& r) { Sampling(r).set_presence_penalty(kInf); },
       "sampling.presence_penalty",
       {"[-2, 2]", "inf"}},
      {"Frequency",
       [](R& r) { Sampling(r).set_frequency_penalty(-2.5f); },
       "sampling.frequency_penalty",
       {"-2.5"}},
      {"Repetition",
       [](R& r) { Sampling(r).set_repetition_penalty(0); },
       "sampling.repetition_penalty",
       {"(0, 10]"}},
      {"MaxTokensZero",
       [](R& r) { Sampling(r).set_max_tokens(0); },
       "sampling.max_tokens",
       {"[1, 61]", "0"}},
      {"MaxTokens",
       [](R& r) { Sampling(r).set_max_tokens(62); },
       "sampling.max_tokens",
       {"[1, 61]", "62"}},
      {"MinTokens",
       [](R& r) { Sampling(r).set_min_tokens(62); },
       "sampling.min_tokens",
       {"[0, 61]"}},
      {"Samples",
       [](R& r) { Sampling(r).set_num_samples(5'000'000); },
       "sampling.num_samples",
       {"[1, 16]", "5000000"}},
      {"Logprobs",
       [](R& r) { Sampling(r).set_num_logprobs(21); },
       "sampling.num_logprobs",
       {"[0, 20]"}},
      {"PromptLogprobs",
       [](R& r) { Sampling(r).set_num_prompt_logprobs(1'000'000'000); },
       "sampling.num_prompt_logprobs",
       {"[0, 20]"}},
  };
}

std::vector<BadField> ListFields() {
  using R = v1::GenerateTokensRequest;
  return {
      {"BiasToken",
       [](R& r) { (*Sampling(r).mutable_logit_bias())[100] = 1; },
       "sampling.logit_bias[100]",
       {"[0, 100)"}},
      {"BiasValue",
       [](R& r) { (*Sampling(r).mutable_logit_bias())[1] = 1e30f; },
       "sampling.logit_bias[1]",
       {"[-100, 100]", "1e+30"}},
      {"BiasCount",
       [](R& r) {
         for (uint32_t i = 0; i < 1'025; ++i) (*Sampling(r).mutable_logit_bias())[i] = 1;
       },
       "sampling.logit_bias",
       {"1024", "1025"}},
      {"AllowedToken",
       [](R& r) { Sampling(r).add_allowed_token_ids(1'000); },
       "sampling.allowed_token_ids[0]",
       {"1000"}},
      {"AllowedCount",
       [](R& r) {
         for (int i = 0; i < 4'097; ++i) Sampling(r).add_allowed_token_ids(1);
       },
       "sampling.allowed_token_ids",
       {"4096", "4097"}},
      {"StopToken",
       [](R& r) { Sampling(r).add_stop_token_ids(100); },
       "sampling.stop_token_ids[0]",
       {"100"}},
      {"StopCount",
       [](R& r) {
         for (int i = 0; i < 65; ++i) Sampling(r).add_stop_token_ids(1);
       },
       "sampling.stop_token_ids",
       {"64", "65"}},
  };
}

std::vector<BadField> ResumeFields() {
  using R = v1::GenerateTokensRequest;
  return {
      {"NoAttempt",
       [](R& r) { AddProgress(r), r.mutable_resume()->set_attempt(0); },
       "resume.attempt",
       {"[1, 1000]"}},
      {"Cached",
       [](R& r) {
         AddProgress(r);
         r.mutable_resume()->set_cached_tokens(4);
       },
       "resume.cached_tokens",
       {"[0, 3]", "4"}},
      {"SampleCount",
       [](R& r) {
         AddProgress(r);
         AddProgress(r);
       },
       "resume.samples",
       {"(1)", "2"}},
      {"ResumeToken",
       [](R& r) { AddProgress(r).add_output_token_ids(100); },
       "resume.samples[0].output_token_ids[0]",
       {"[0, 100)"}},
      {"NothingLeft",
       [](R& r) {
         Sampling(r).set_max_tokens(1);
         AddProgress(r).add_output_token_ids(1);
       },
       "resume.samples[0].output_token_ids",
       {"limit 0", "1"}},
      {"AllFinished",
       [](R& r) { AddProgress(r).set_finished(true); },
       "resume.samples",
       {"finished"}},
  };
}

class BadFieldTest : public ::testing::TestWithParam<BadField> {};

TEST_P(BadFieldTest, IsRefusedWithFieldLimitAndValue) {
  v1::GenerateTokensRequest wire = ValidRequest();
  GetParam().spoil(wire);
  const auto request = ConvertRequest(wire, Limits());
  ASSERT_FALSE(request.ok());
  EXPECT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(rpc::ReasonOf(request.status()), rpc::ErrorReason::kInvalidField);
  const auto violations = rpc::ViolationsOf(request.status());
  ASSERT_EQ(violations.size(), 1u) << request.status();
  EXPECT_EQ(violations[0].field, GetParam().field);
  for (const char* word : GetParam().words) EXPECT_THAT(violations[0].description, HasSubstr(word));
  EXPECT_EQ(request.status().message(), violations[0].field + ": " + violations[0].description);
}

std::string NameOf(const ::testing::TestParamInfo<BadField>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Identity, BadFieldTest, ::testing::ValuesIn(IdentityFields()), NameOf);
INSTANTIATE_TEST_SUITE_P(Numbers, BadFieldTest, ::testing::ValuesIn(NumberFields()), NameOf);
INSTANTIATE_TEST_SUITE_P(Lists, BadFieldTest, ::testing::ValuesIn(ListFields()), NameOf);
INSTANTIATE_TEST_SUITE_P(Resume, BadFieldTest, ::testing::ValuesIn(ResumeFields()), NameOf);

TEST(RequestConversionTest, AllViolationsComeAtOnceUpToSixteen) {
  v1::GenerateTokensRequest wire = ValidRequest();
  wire.set_request_id("");
  wire.set_cache_salt("");
  wire.mutable_sampling()->set_top_p(2);
  auto violations = rpc::ViolationsOf(ConvertRequest(wire, Limits()).status());
  EXPECT_EQ(violations.size(), 3u);
  for (uint32_t i = 0; i < 40; ++i) (*wire.mutable_sampling()->mutable_logit_bias())[i] = 1e9f;
  violations = rpc::ViolationsOf(ConvertRequest(wire, Limits()).status());
  EXPECT_EQ(violations.size(), rpc::kViolationsMax);
}

TEST(RequestConversionTest, TooLongAPromptSaysBothNumbers) {
  v1::GenerateTokensRequest wire = ValidRequest();
  for (int i = 0; i < 61; ++i) wire.add_prompt_token_ids(1);
  const auto status = ConvertRequest(wire, Limits()).status();
  EXPECT_EQ(rpc::ReasonOf(status), rpc::ErrorReason::kContextLengthExceeded);
  EXPECT_EQ(rpc::MetadataOf(status).at("context_length"), "64");
  EXPECT_EQ(rpc::MetadataOf(status).at("prompt_tokens"), "64");
  EXPECT_EQ(rpc::ViolationsOf(status).at(0).field, "prompt_token_ids");
}

TEST(RequestConversionTest, ThePromptMayLeaveRoomForOneToken) {
  v1::GenerateTokensRequest wire = ValidRequest();
  for (int i = 0; i < 60; ++i) wire.add_prompt_token_ids(1);
  const auto request = ConvertRequest(wire, Limits());
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->sampling.max_tokens, 1);
}

TEST(RequestConversionTest, AnotherModelIsAMismatch) {
  v1::GenerateTokensRequest wire = ValidRequest();
  wire.set_model_fingerprint("other");
  const auto status = ConvertRequest(wire, Limits()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(rpc::ReasonOf(status), rpc::ErrorReason::kModelMismatch);
  EXPECT_EQ(rpc::MetadataOf(status).at("model_fingerprint"), kFingerprint);
}

TEST(RequestConversionTest, ConstraintsAreUnimplemented) {
  v1::GenerateTokensRequest wire = ValidRequest();
  wire.mutable_constraint()->set_regex("a+");
  const auto status = ConvertRequest(wire, Limits()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(rpc::ReasonOf(status), rpc::ErrorReason::kConstraintsUnsupported);
}

}  // namespace
}  // namespace banyan::worker
