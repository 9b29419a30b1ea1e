#include "router/requests/request_validation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "common/rpc/errors.h"

namespace banyan::router {
namespace {

using ::testing::HasSubstr;

constexpr ModelLimits kLimits = {.context_length = 1000, .vocabulary_size = 500};

v1::GenerateRequest Valid() {
  v1::GenerateRequest request;
  request.set_text("prompt");
  return request;
}

v1::GenerateRequest ValidChat() {
  v1::GenerateRequest request;
  v1::ChatMessage& message = *request.mutable_chat()->add_messages();
  message.set_role(v1::CHAT_ROLE_USER);
  message.add_content()->set_text("hello");
  return request;
}

// One way to be wrong: the field that must be named, what must be said, and the change.
struct BadField {
  std::string field;
  std::string says;
  std::function<void(v1::GenerateRequest&)> spoil;
  bool chat = false;
};

void ExpectRefused(const BadField& bad) {
  v1::GenerateRequest request = bad.chat ? ValidChat() : Valid();
  ASSERT_TRUE(ValidateGenerate(request, kLimits).ok());
  bad.spoil(request);
  absl::Status status = ValidateEnvelope(request);
  if (status.ok()) status = ValidateGenerate(request, kLimits);
  ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.field << " " << bad.says;
  EXPECT_EQ(rpc::ReasonOf(status), rpc::ErrorReason::kInvalidField);
  const std::vector<rpc::FieldViolation> violations = rpc::ViolationsOf(status);
  ASSERT_FALSE(violations.empty());
  EXPECT_EQ(violations[0].field, bad.field);
  EXPECT_THAT(violations[0].description, HasSubstr(bad.says)) << bad.field;
  EXPECT_THAT(std::string(status.message()), HasSubstr(bad.field));
}

#define SPOIL [](v1::GenerateRequest & r)

TEST(RequestValidationTest, EnvelopeAndPrompt) {
  const BadField fields[] = {{"request_id", "want 1 to 64", SPOIL{r.set_request_id("has space");
}
}  // namespace
, {"request_id", "want 1 to 64", SPOIL{r.set_request_id(std::string(65, 'a'));
}  // namespace banyan::router
}
, {"model", "limit 256 bytes, got 257", SPOIL{r.set_model(std::string(257, 'm'));
}
}
, {"prompt", "not set", SPOIL{r.clear_prompt();
}
}
, {"text", "empty", SPOIL{r.set_text("");
}
}
, {"text", "limit 4194304", SPOIL{r.set_text(std::string((4u << 20) + 1, 'x'));
}
}
, {"token_ids.ids", "empty", SPOIL{r.mutable_token_ids();
}
}
, {"token_ids.ids[1]", "want [0, 500), got 500", SPOIL{r.mutable_token_ids()->add_ids(499);
r.mutable_token_ids()->add_ids(500);
}
}
, {"truncate_prompt_tokens", "want [1, 999], got 0", SPOIL{r.set_truncate_prompt_tokens(0);
}
}
, {"truncate_prompt_tokens", "got 1000", SPOIL{r.set_truncate_prompt_tokens(1000);
}
}
,
}
;
for (const BadField& bad : fields) ExpectRefused(bad);
}

TEST(RequestValidationTest, SamplingNumbers) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const std::pair<const char*, std::function<void(v1::SamplingParams&, float)>> setters[] = {
      {"temperature", [](v1::SamplingParams& s, float v) { s.set_temperature(v); }},
      {"top_p", [](v1::SamplingParams& s, float v) { s.set_top_p(v); }},
      {"min_p", [](v1::SamplingParams& s, float v) { s.set_min_p(v); }},
      {"presence_penalty", [](v1::SamplingParams& s, float v) { s.set_presence_penalty(v); }},
      {"frequency_penalty", [](v1::SamplingParams& s, float v) { s.set_frequency_penalty(v); }},
      {"repetition_penalty", [](v1::SamplingParams& s, float v) { s.set_repetition_penalty(v); }},
  };
  for (const auto& [name, set] : setters) {
    for (const float value : {nan, inf, -inf, -3.0f, 11.0f}) {
      ExpectRefused({std::string("sampling.") + name, "out of range",
                     [&](v1::GenerateRequest& r) { set(*r.mutable_sampling(), value); }});
    }
  }
  const BadField fields[] = {
      {"sampling.top_p", "(0, 1], got 0", SPOIL{r.mutable_sampling()->set_top_p(0);
}
}
, {"sampling.repetition_penalty", "(0, 10], got 0",
   SPOIL{r.mutable_sampling()->set_repetition_penalty(0);
}
}
, {"sampling.top_k", "[0, 500], got 501", SPOIL{r.mutable_sampling()->set_top_k(501);
}
}
, {"sampling.max_tokens", "[1, 999], got 0", SPOIL{r.mutable_sampling()->set_max_tokens(0);
}
}
, {"sampling.max_tokens", "got 4294967295", SPOIL{r.mutable_sampling()->set_max_tokens(4294967295u);
}
}
, {"sampling.min_tokens", "[0, 5], got 6", SPOIL{r.mutable_sampling()->set_max_tokens(5);
r.mutable_sampling()->set_min_tokens(6);
}
}
, {"sampling.num_samples", "[0, 16], got 17", SPOIL{r.mutable_sampling()->set_num_samples(17);
}
}
, {"sampling.num_logprobs", "[0, 20], got 1000000000",
   SPOIL{r.mutable_sampling()->set_num_logprobs(1'000'000'000);
}
}
, {"sampling.num_prompt_logprobs", "[0, 20], got 21",
   SPOIL{r.mutable_sampling()->set_num_prompt_logprobs(21);
}
}
,
}
;
for (const BadField& bad : fields) ExpectRefused(bad);
}

TEST(RequestValidationTest, SamplingListsAndStops) {
  const BadField fields[] = {{"sampling.logit_bias", "limit 1024 entries, got 1025",
                              SPOIL{for (uint32_t i = 0; i < 1025;
                                         ++i)(*r.mutable_sampling()->mutable_logit_bias())[i] = 1;
}
}
, {"sampling.logit_bias[500]", "want [0, 500)",
   SPOIL{(*r.mutable_sampling()->mutable_logit_bias())[500] = 1;
}
}
, {"sampling.logit_bias[3]", "[-100, 100], got 1e+30",
   SPOIL{(*r.mutable_sampling()->mutable_logit_bias())[3] = 1e30f;
}
}
, {"sampling.allowed_token_ids", "limit 4096 ids, got 4097",
   SPOIL{for (int i = 0; i < 4097; ++i) r.mutable_sampling()->add_allowed_token_ids(1);
}
}
, {"sampling.stop_token_ids", "limit 64 ids, got 65",
   SPOIL{for (int i = 0; i < 65; ++i) r.mutable_sampling()->add_stop_token_ids(1);
}
}
, {"sampling.stop_token_ids[0]", "got 999", SPOIL{r.mutable_sampling()->add_stop_token_ids(999);
}
}
, {"stop", "limit 16 strings, got 17", SPOIL{for (int i = 0; i < 17; ++i) r.add_stop("x");
}
}
, {"stop[1]", "empty", SPOIL{r.add_stop("x");
r.add_stop("");
}
}
, {"stop[0]", "limit 256 bytes, got 1000000", SPOIL{r.add_stop(std::string(1'000'000, 's'));
}
}
, {"priority", "unknown value 9", SPOIL{r.set_priority(static_cast<v1::Priority>(9));
}
}
, {"max_queue_ms", "got 3600001", SPOIL{r.set_max_queue_ms(3'600'001);
}
}
, {"session_id", "limit 128", SPOIL{r.set_session_id(std::string(129, 's'));
}
}
, {"cache_salt", "limit 128", SPOIL{r.set_cache_salt(std::string(129, 's'));
}
}
, {"stream_interval_tokens", "[0, 256], got 257", SPOIL{r.set_stream_interval_tokens(257);
}
}
,
}
;
for (const BadField& bad : fields) ExpectRefused(bad);
}

TEST(RequestValidationTest, Conversations) {
  const BadField fields[] = {
      {"chat.messages", "1 to 4096 messages, got 0", SPOIL{r.mutable_chat()->clear_messages();
}
, true
}
, {"chat.messages", "got 4097",
   SPOIL{for (int i = 0; i < 4096; ++i) r.mutable_chat()->add_messages();
}
, true
}
, {"chat.messages[0].role", "got 0", SPOIL{r.mutable_chat()->mutable_messages(0)->clear_role();
}
, true
}
, {"chat.messages[0].role", "got 77",
   SPOIL{r.mutable_chat()->mutable_messages(0)->set_role(static_cast<v1::ChatRole>(77));
}
, true
}
, {"chat.messages[0].content", "empty",
   SPOIL{r.mutable_chat()->mutable_messages(0)->clear_content();
}
, true
}
, {"chat.messages[0].content[1]", "not set",
   SPOIL{r.mutable_chat()->mutable_messages(0)->add_content();
}
, true
}
, {"chat.messages[0].tool_calls", "only an assistant",
   SPOIL{r.mutable_chat()->mutable_messages(0)->add_tool_calls()->set_name("f");
}
, true
}
, {"chat.messages[0].name", "limit 64",
   SPOIL{r.mutable_chat()->mutable_messages(0)->set_name(std::string(65, 'n'));
}
, true
}
, {"chat.messages", "limit 4194304",
   SPOIL{r.mutable_chat()->mutable_messages(0)->add_content()->set_text(
       std::string((4u << 20) + 1, 'x'));
}
, true
}
, {"chat.template_args.messages", "own variable",
   SPOIL{(*r.mutable_chat()->mutable_template_args()->mutable_fields())["messages"];
}
, true
}
, {"chat.template_args", "0 to 64 keys",
   SPOIL{for (int i = 0; i < 65; ++i){
       (*r.mutable_chat()->mutable_template_args()->mutable_fields())[std::to_string(i)];
}
}
, true
}
, {"chat.continue_final_message", "not the assistant's",
   SPOIL{r.mutable_chat()->set_continue_final_message(true);
}
, true
}
, {"chat.tools[1].name", "twice", SPOIL{r.mutable_chat()->add_tools()->set_name("f");
r.mutable_chat()->add_tools()->set_name("f");
}
, true
}
, {"chat.tools[0].name", "want 1 to 64", SPOIL{r.mutable_chat()->add_tools()->set_name("no spaces");
}
, true
}
, {"chat.tool_choice.name", "not one of the tools",
   SPOIL{r.mutable_chat()->mutable_tool_choice()->set_mode(v1::TOOL_CHOICE_MODE_NAMED);
r.mutable_chat()->mutable_tool_choice()->set_name("g");
}
, true
}
,
}
;
for (const BadField& bad : fields) ExpectRefused(bad);
}

TEST(RequestValidationTest, AllViolationsAreListedUpToSixteenAndNoPromptText) {
  v1::GenerateRequest request = Valid();
  request.set_text("my secret prompt");
  request.mutable_sampling()->set_temperature(-1);
  request.mutable_sampling()->set_top_p(7);
  for (int i = 0; i < 16; ++i) request.add_stop("");
  const absl::Status status = ValidateGenerate(request, kLimits);
  EXPECT_EQ(rpc::ViolationsOf(status).size(), 16u);
  EXPECT_THAT(std::string(status.message()), HasSubstr("and 15 more"));
  EXPECT_THAT(status.ToString(), ::testing::Not(HasSubstr("secret")));
}

TEST(RequestValidationTest, WhatIsNotServedIsUnimplemented) {
  v1::GenerateRequest request = ValidChat();
  request.mutable_chat()->add_tools()->set_name("f");
  EXPECT_EQ(ValidateGenerate(request, kLimits).code(), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace banyan::router
