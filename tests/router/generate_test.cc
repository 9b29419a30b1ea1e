// Generate over real gRPC with scripted workers: what streams, what stops, what is counted.
#include <gmock/gmock.h>

#include "common/base/block_hash.h"
#include "common/rpc/request_id.h"
#include "tests/router/router_harness.h"

namespace banyan::router {
namespace {

using ::testing::HasSubstr;

class GenerateTest : public RouterTest {
 protected:
  void SetUp() override {
    worker_ = &AddWorker("w0");
    StartRouter();
  }
  FakeWorker* worker_ = nullptr;
};

TEST_F(GenerateTest, StreamsTextWithStartUsageAndTiming) {
  worker_->SetScript({.text = "hello", .cached_tokens = 4});
  const Answer answer = Generate(TextRequest("prompt"));
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.text(), "hello");
  const v1::GenerationStart& start = answer.messages[0].start();
  EXPECT_EQ(start.model(), "m");
  EXPECT_EQ(start.model_fingerprint(), "fingerprint-w0");
  EXPECT_EQ(start.seed(), 7u);
  EXPECT_EQ(start.prompt_tokens(), 7u) << "six bytes and the begin token";
  EXPECT_EQ(start.cached_tokens(), 4u);
  EXPECT_EQ(answer.ends[0].finish_reason(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(answer.ends[0].stop_case(), v1::SampleDelta::STOP_NOT_SET) << "the model's own end";
  EXPECT_EQ(answer.usage().prompt_tokens(), 7u);
  EXPECT_EQ(answer.usage().cached_tokens(), 4u);
  EXPECT_EQ(answer.usage().completion_tokens(), 6u) << "the end token counts";
  EXPECT_EQ(answer.messages.back().timing().prefill_us(), 100u);
  EXPECT_EQ(answer.worker_id, "w0");
}

TEST_F(GenerateTest, SendsTheWorkerACompleteRequest) {
  v1::GenerateRequest request = TextRequest("ab");
  request.set_omit_special_tokens(true);
  request.set_request_id("my-id");
  request.set_priority(v1::PRIORITY_BATCH);
  request.set_max_queue_ms(50);
  request.mutable_sampling()->set_top_p(0.5f);
  grpc::ClientContext context;
  context.AddMetadata("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  const Answer answer = Generate(request, context);
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.request_id, "my-id");
  const v1::GenerateTokensRequest sent = worker_->requests().at(0);
  EXPECT_EQ(sent.request_id(), "my-id");
  EXPECT_THAT(sent.prompt_token_ids(), ::testing::ElementsAre('a', 'b'));
  EXPECT_EQ(sent.priority(), v1::PRIORITY_BATCH);
  EXPECT_EQ(sent.max_queue_ms(), 50u);
  EXPECT_EQ(sent.dispatch_sequence(), 1u);
  EXPECT_EQ(sent.router_id(), router_->registry().router_id());
  EXPECT_EQ(sent.cache_salt(), std::string(16, '\0'));
  EXPECT_FLOAT_EQ(sent.sampling().temperature(), 0.6f) << "the model's own default";
  EXPECT_FLOAT_EQ(sent.sampling().top_p(), 0.5f);
  EXPECT_EQ(sent.sampling().max_tokens(), 998u) << "all the room there is";
  EXPECT_EQ(sent.sampling().num_samples(), 1u);
  const auto trace = rpc::ParseTraceParent(worker_->last_traceparent());
  ASSERT_TRUE(trace.has_value());
  EXPECT_EQ(trace->trace_id, "0af7651916cd43dd8448eb211c80319c");
  EXPECT_NE(trace->span_id, "b7ad6b7169203331");
  // gRPC rounds timeouts of this length to tenths of a second.
  const auto left = context.deadline() - worker_->last_deadline();
  EXPECT_LE(std::chrono::abs(left), std::chrono::milliseconds(500));
}

TEST_F(GenerateTest, AStopStringAcrossTokensEndsTheSampleAndItsWorkOnTheWorker) {
  worker_->SetScript({.text = "one two END three", .endless = true});
  v1::GenerateRequest request = TextRequest("p");
  request.add_stop("nothing");
  request.add_stop(" END");
  const Answer answer = Generate(request);
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.text(), "one two");
  EXPECT_EQ(answer.ends[0].finish_reason(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(answer.ends[0].stop_string(), " END");
  EXPECT_EQ(answer.usage().completion_tokens(), 11u) << "what came after it is not counted";
  EXPECT_EQ(worker_->num_stopped_samples(), 1);
}

TEST_F(GenerateTest, TokensBehindAStopStringInTheSameMessageAreDropped) {
  worker_->SetScript({.text = "abcdefgh", .tokens_per_message = 8});
  v1::GenerateRequest request = TextRequest("p");
  request.add_stop("cd");
  request.set_include_stop(true);
  request.set_return_token_ids(true);
  request.mutable_sampling()->set_num_logprobs(0);
  const Answer answer = Generate(request);
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.text(), "abcd");
  EXPECT_EQ(answer.ends[0].token_ids_size(), 4);
  EXPECT_EQ(answer.ends[0].logprobs().logprobs_size(), 4);
  EXPECT_EQ(answer.usage().completion_tokens(), 4u);
}

TEST_F(GenerateTest, CharactersArriveWhole) {
  worker_->SetScript({.text = "a\xC3\xA9\xF0\x9F\x8C\xB3z"});
  const Answer answer = Generate(TextRequest("p"));
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.text(), "a\xC3\xA9\xF0\x9F\x8C\xB3z");
  for (const v1::GenerateResponse& message : answer.messages) {
    for (const v1::SampleDelta& delta : message.samples()) {
      EXPECT_TRUE(delta.text().empty() || (delta.text()[0] & 0xC0) != 0x80);
    }
  }
}

TEST_F(GenerateTest, LogprobsCarryTheBytesOfTheirTokens) {
  worker_->SetScript({.text = "xy"});
  v1::GenerateRequest request = TextRequest("ab");
  request.mutable_sampling()->set_num_logprobs(2);
  request.mutable_sampling()->set_num_prompt_logprobs(0);
  request.set_return_prompt_text(true);
  request.set_return_token_ids(true);
  const Answer answer = Generate(request);
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  v1::TokenLogprobs all;
  for (const v1::GenerateResponse& message : answer.messages) {
    for (const v1::SampleDelta& delta : message.samples()) all.MergeFrom(delta.logprobs());
  }
  EXPECT_THAT(all.token_bytes(), ::testing::ElementsAre("x", "y", "<end>"));
  EXPECT_THAT(all.top_token_bytes(), ::testing::ElementsAre("a", "b", "a", "b", "a", "b"));
  EXPECT_EQ(all.num_top(), 2u);
  const v1::GenerationStart& start = answer.messages[0].start();
  EXPECT_THAT(start.prompt_logprobs().token_bytes(), ::testing::ElementsAre("a", "b"));
  EXPECT_EQ(start.prompt_text(), "ab");
  EXPECT_EQ(start.prompt_token_ids_size(), 3);
}

TEST_F(GenerateTest, SeveralSamplesEndEachOnItsOwn) {
  worker_->SetScript({.text = "hello", .tokens_per_message = 2});
  v1::GenerateRequest request = TextRequest("p");
  request.mutable_sampling()->set_num_samples(3);
  const Answer answer = Generate(request);
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  ASSERT_EQ(answer.texts.size(), 3u);
  for (const std::string& text : answer.texts) EXPECT_EQ(text, "hello");
  EXPECT_EQ(answer.usage().completion_tokens(), 18u);
  EXPECT_EQ(answer.usage().prompt_tokens(), 2u) << "counted once";
}

TEST_F(GenerateTest, StopTokensAreNamedAndLeftOutUnlessAskedFor) {
  worker_->SetScript({.text = "ab.c"});
  v1::GenerateRequest request = TextRequest("p");
  request.mutable_sampling()->add_stop_token_ids('.');
  Answer answer = Generate(request);
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.text(), "ab");
  EXPECT_EQ(answer.ends[0].stop_token_id(), static_cast<uint32_t>('.'));
  request.set_include_stop(true);
  answer = Generate(request);
  EXPECT_EQ(answer.text(), "ab.");
}

TEST_F(GenerateTest, MaxTokensEndsByLength) {
  v1::GenerateRequest request = TextRequest("p");
  request.mutable_sampling()->set_max_tokens(3);
  const Answer answer = Generate(request);
  EXPECT_EQ(answer.text(), "hel");
  EXPECT_EQ(answer.ends[0].finish_reason(), v1::FINISH_REASON_LENGTH);
}

TEST_F(GenerateTest, TheStreamIntervalCollectsTokens) {
  worker_->SetScript({.text = "0123456789"});
  v1::GenerateRequest request = TextRequest("p");
  request.set_stream_interval_tokens(4);
  const Answer answer = Generate(request);
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.text(), "0123456789");
  EXPECT_LE(answer.messages.size(), 5u);
  EXPECT_EQ(answer.messages[0].samples(0).num_output_tokens(), 1u) << "the first goes at once";
}

TEST_F(GenerateTest, ChatIsRenderedWithTheModelsTemplate) {
  v1::GenerateRequest request;
  v1::ChatMessage& message = *request.mutable_chat()->add_messages();
  message.set_role(v1::CHAT_ROLE_USER);
  message.add_content()->set_text("hi");
  request.set_return_prompt_text(true);
  const Answer answer = Generate(request);
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.messages[0].start().prompt_text(), "u:hi\na:");
}

TEST_F(GenerateTest, TruncationKeepsTheEndOfThePrompt) {
  v1::GenerateRequest request = TextRequest("abcdef");
  request.set_truncate_prompt_tokens(2);
  ASSERT_TRUE(Generate(request).status.ok());
  EXPECT_THAT(worker_->requests()[0].prompt_token_ids(), ::testing::ElementsAre('e', 'f'));
}

TEST_F(GenerateTest, APromptThatIsTooLongIsRefusedWithBothNumbers) {
  const Answer answer = Generate(TextRequest(std::string(1000, 'x')));
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(rpc::ReasonOf(answer.status), rpc::ErrorReason::kContextLengthExceeded);
  EXPECT_THAT(std::string(answer.status.message()), HasSubstr("1001 tokens"));
  EXPECT_THAT(std::string(answer.status.message()), HasSubstr("holds 1000"));
  EXPECT_EQ(worker_->num_requests(), 0u);
}

TEST_F(GenerateTest, ExplainTellsWhereItWentAndWhy) {
  v1::GenerateRequest request = TextRequest("p");
  request.set_explain(true);
  const Answer answer = Generate(request);
  const v1::RoutingDecision& routing = answer.messages[0].routing();
  EXPECT_EQ(routing.worker_id(), "w0");
  EXPECT_EQ(routing.reason(), v1::ROUTING_REASON_ONLY_CANDIDATE);
  ASSERT_EQ(routing.candidates_size(), 1);
  EXPECT_GT(routing.candidates(0).prefill_us(), 0u);
}

TEST_F(GenerateTest, OneIdRunsOnceAtATime) {
  worker_->SetScript({.endless = true});
  v1::GenerateRequest request = TextRequest("p");
  request.set_request_id("same");
  grpc::ClientContext context;
  const auto reader = inference_->Generate(&context, request);
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  const Answer second = Generate(request);
  EXPECT_EQ(second.status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(rpc::ReasonOf(second.status), rpc::ErrorReason::kRequestIdInUse);

  grpc::ClientContext cancel_context;
  v1::CancelRequest cancel;
  v1::CancelResponse cancelled;
  cancel.set_request_id("same");
  EXPECT_TRUE(inference_->Cancel(&cancel_context, cancel, &cancelled).ok());
  while (reader->Read(&message)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([&] { return worker_->num_cancelled() == 1; }));
  grpc::ClientContext again;
  EXPECT_EQ(inference_->Cancel(&again, cancel, &cancelled).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(GenerateTest, MetricsCountWhatHappened) {
  ASSERT_TRUE(Generate(TextRequest("prompt")).status.ok());
  const std::string page = Metrics();
  EXPECT_THAT(page, HasSubstr("banyan_router_requests_total{class=\"interactive\",model=\"m\","
                              "outcome=\"ok\",protocol=\"grpc\"} 1"));
  EXPECT_THAT(page, HasSubstr("banyan_router_prompt_tokens_total{class=\"interactive\","
                              "model=\"m\"} 7"));
  EXPECT_THAT(page, HasSubstr("banyan_router_generation_tokens_total{class=\"interactive\","
                              "model=\"m\"} 6"));
  EXPECT_THAT(page,
              HasSubstr("banyan_router_decisions_total{pool=\"default\",reason=\"only_candidate\"}"
                        " 1"));
  EXPECT_THAT(page, HasSubstr("banyan_router_requests_active{class=\"interactive\"} 0"));
}

TEST_F(GenerateTest, TokenizeDetokenizeAndListModels) {
  grpc::ClientContext tokenize_context;
  v1::TokenizeRequest tokenize;
  tokenize.set_text("ab");
  tokenize.set_return_token_bytes(true);
  v1::TokenizeResponse tokens;
  ASSERT_TRUE(inference_->Tokenize(&tokenize_context, tokenize, &tokens).ok());
  EXPECT_THAT(tokens.token_ids(), ::testing::ElementsAre(kBeginToken, 'a', 'b'));
  EXPECT_THAT(tokens.token_bytes(), ::testing::ElementsAre("<begin>", "a", "b"));
  EXPECT_EQ(tokens.context_length(), 1000u);

  grpc::ClientContext detokenize_context;
  v1::DetokenizeRequest detokenize;
  *detokenize.mutable_token_ids() = tokens.token_ids();
  v1::DetokenizeResponse text;
  ASSERT_TRUE(inference_->Detokenize(&detokenize_context, detokenize, &text).ok());
  EXPECT_EQ(text.text(), "ab");
  detokenize.add_token_ids(299);
  grpc::ClientContext bad_context;
  EXPECT_EQ(inference_->Detokenize(&bad_context, detokenize, &text).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);

  grpc::ClientContext models_context;
  v1::ListModelsResponse models;
  ASSERT_TRUE(inference_->ListModels(&models_context, {}, &models).ok());
  ASSERT_EQ(models.models_size(), 1);
  EXPECT_EQ(models.models(0).name(), "m");
  EXPECT_TRUE(models.models(0).supports_chat());
  EXPECT_EQ(models.models(0).num_ready_workers(), 1u);
}

TEST_F(GenerateTest, WhatThisBuildDoesNotServeSaysSo) {
  grpc::ClientContext context;
  v1::EmbedResponse embeddings;
  const absl::Status embed =
      rpc::FromGrpcStatus(inference_->Embed(&context, v1::EmbedRequest(), &embeddings));
  EXPECT_EQ(embed.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(rpc::ReasonOf(embed), rpc::ErrorReason::kEmbeddingsUnsupported);
  v1::GenerateRequest request = TextRequest("p");
  request.mutable_constraint()->set_regex("a+");
  const Answer answer = Generate(request);
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(rpc::ReasonOf(answer.status), rpc::ErrorReason::kConstraintsUnsupported);
}

}  // namespace
}  // namespace banyan::router
