// GenerateTokens and StopSamples over a real port.
#include "gmock/gmock.h"
#include "tests/worker/service/service_fixture.h"

namespace banyan::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Reader = std::unique_ptr<grpc::ClientReader<v1::GenerateTokensResponse>>;

class GenerateTest : public ServiceFixture {
 protected:
  static void Deliver(RequestSink& sink, int32_t position, std::vector<TokenId> tokens,
                      FinishReason reason = FinishReason::kNone) {
    SampleUpdate update;
    update.first_position = position;
    update.tokens = std::move(tokens);
    update.finish_reason = reason;
    sink.OnTokens({&update, 1});
  }
  // The stream's end as our own status.
  static absl::Status Finish(Reader& reader) {
    v1::GenerateTokensResponse rest;
    while (reader->Read(&rest)) {
    }
    return rpc::FromGrpcStatus(reader->Finish());
  }
  absl::Status Refusal(const v1::GenerateTokensRequest& request) {
    const auto context = Context();
    Reader reader = stub_->GenerateTokens(context.get(), request);
    return Finish(reader);
  }
};

TEST_F(GenerateTest, StreamsTokensAndEndsWithCounters) {
  const auto context = Context();
  Reader reader = stub_->GenerateTokens(context.get(), TestRequest("r1"));
  const auto [request, sink] = engine_.WaitFor("r1");
  EXPECT_THAT(request.prompt, ElementsAre(1, 2, 3));
  sink->OnStart({.prompt_tokens = 3, .cached_tokens = 1}, {});
  Deliver(*sink, 0, {10});
  v1::GenerateTokensResponse message;
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_EQ(message.usage().cached_tokens(), 1u);
  EXPECT_THAT(message.samples(0).token_ids(), ElementsAre(10));
  Deliver(*sink, 1, {11}, FinishReason::kLength);
  sink->OnFinish(absl::OkStatus(), {.prompt_tokens = 3, .completion_tokens = 2},
                 {.decode = std::chrono::microseconds(9)});
  std::vector<uint32_t> rest;
  v1::FinishReason reason = v1::FINISH_REASON_UNSPECIFIED;
  while (reader->Read(&message)) {
    for (const auto& sample : message.samples()) {
      rest.insert(rest.end(), sample.token_ids().begin(), sample.token_ids().end());
      reason = sample.finish_reason();
    }
  }
  EXPECT_THAT(rest, ElementsAre(11));
  EXPECT_EQ(reason, v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(message.usage().completion_tokens(), 2u);
  EXPECT_EQ(message.timing().decode_us(), 9u);
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(GenerateTest, NoInitialMetadataBeforeTheFirstToken) {
  const auto context = Context();
  Reader reader = stub_->GenerateTokens(context.get(), TestRequest("r1"));
  const auto submitted = engine_.WaitFor("r1");
  submitted.sink->OnStart({}, {});
  submitted.sink->OnFinish(absl::UnavailableError("draining"), {}, {});
  EXPECT_EQ(Finish(reader).code(), absl::StatusCode::kUnavailable);
  // Only trailers came: gRPC could have retried transparently.
  EXPECT_TRUE(context->GetServerInitialMetadata().empty());
}

TEST_F(GenerateTest, CancellingTheStreamCancelsTheRequest) {
  const auto context = Context();
  Reader reader = stub_->GenerateTokens(context.get(), TestRequest("r1"));
  const auto submitted = engine_.WaitFor("r1");
  submitted.sink->OnStart({}, {});
  Deliver(*submitted.sink, 0, {10});
  v1::GenerateTokensResponse message;
  ASSERT_TRUE(reader->Read(&message));
  context->TryCancel();
  engine_.WaitForCancel("r1");
  // The engine may still deliver what it had; then it ends the request.
  Deliver(*submitted.sink, 1, {11});
  submitted.sink->OnFinish(absl::CancelledError("cancelled"), {}, {});
  EXPECT_EQ(Finish(reader).code(), absl::StatusCode::kCancelled);
}

TEST_F(GenerateTest, CancellingWhileQueuedCancelsTheRequest) {
  const auto context = Context();
  Reader reader = stub_->GenerateTokens(context.get(), TestRequest("r1"));
  const auto submitted = engine_.WaitFor("r1");
  context->TryCancel();
  engine_.WaitForCancel("r1");
  submitted.sink->OnFinish(absl::CancelledError("cancelled"), {}, {});
  EXPECT_EQ(Finish(reader).code(), absl::StatusCode::kCancelled);
}

TEST_F(GenerateTest, TheCallsDeadlineIsTheRequests) {
  const auto context = Context();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  Reader reader = stub_->GenerateTokens(context.get(), TestRequest("r1"));
  const auto submitted = engine_.WaitFor("r1");
  ASSERT_TRUE(submitted.request.deadline.has_value());
  const Duration left = *submitted.request.deadline - clock_.Now();
  // gRPC rounds a timeout up to three digits on the wire.
  EXPECT_LE(left, std::chrono::milliseconds(20'200));
  EXPECT_GT(left, std::chrono::seconds(1));
  submitted.sink->OnFinish(absl::DeadlineExceededError("late"), {}, {});
  const absl::Status status = Finish(reader);
  EXPECT_EQ(rpc::ReasonOf(status), rpc::ErrorReason::kDeadlineExceeded);
}

TEST_F(GenerateTest, InvalidFieldsComeBackWithAllDetails) {
  v1::GenerateTokensRequest request = TestRequest("r1");
  request.mutable_sampling()->set_top_p(2);
  request.set_cache_salt("x");
  const absl::Status status = Refusal(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(rpc::ViolationsOf(status).size(), 2u);
  EXPECT_THAT(
      registry_.Render(),
      HasSubstr("banyan_worker_requests_total{finish_reason=\"none\",outcome=\"invalid\"}"));
}

TEST_F(GenerateTest, ReasonsThatTheEngineSaysMoveIntoTheDetails) {
  engine_.RefuseSubmits(absl::ResourceExhaustedError("QUEUE_FULL: 8 requests wait, limit 8"));
  const absl::Status status = Refusal(TestRequest("r1"));
  EXPECT_EQ(rpc::ReasonOf(status), rpc::ErrorReason::kQueueFull);
  EXPECT_EQ(status.message(), "8 requests wait, limit 8");
  engine_.RefuseSubmits(absl::UnavailableError("WORKER_LOST: the engine has failed"));
  EXPECT_EQ(rpc::ReasonOf(Refusal(TestRequest("r2"))), rpc::ErrorReason::kWorkerLost);
}

struct Refused {
  const char* name;
  absl::Status engine;
  rpc::ErrorReason reason;
  bool retry;
};

class EngineRefusalTest : public GenerateTest, public ::testing::WithParamInterface<Refused> {};

TEST_P(EngineRefusalTest, HasItsReason) {
  engine_.RefuseSubmits(GetParam().engine);
  const absl::Status status = Refusal(TestRequest("r1"));
  EXPECT_EQ(status.code(), GetParam().engine.code());
  EXPECT_EQ(status.message(), GetParam().engine.message());
  EXPECT_EQ(rpc::ReasonOf(status), GetParam().reason);
  EXPECT_EQ(rpc::RetryDelayOf(status).has_value(), GetParam().retry);
  EXPECT_TRUE(engine_.cancelled().empty());
}

INSTANTIATE_TEST_SUITE_P(
    All, EngineRefusalTest,
    ::testing::Values(
        Refused{"Full", absl::ResourceExhaustedError("full"), rpc::ErrorReason::kQueueFull, true},
        Refused{"TooLarge", absl::FailedPreconditionError("needs 9 blocks, pool has 4"),
                rpc::ErrorReason::kKvCapacityExceeded, false},
        Refused{"Twice", absl::AlreadyExistsError("in use"), rpc::ErrorReason::kRequestIdInUse,
                false},
        Refused{"Draining", absl::UnavailableError("draining"), rpc::ErrorReason::kWorkerDraining,
                true}),
    [](const auto& param) { return param.param.name; });

struct Ended {
  const char* name;
  absl::Status engine;
  EngineState state;
  rpc::ErrorReason reason;
};

class EngineEndTest : public GenerateTest, public ::testing::WithParamInterface<Ended> {};

TEST_P(EngineEndTest, HasItsReasonAfterAllTokens) {
  const auto context = Context();
  Reader reader = stub_->GenerateTokens(context.get(), TestRequest("r1"));
  const auto submitted = engine_.WaitFor("r1");
  engine_.ChangeStats([](EngineStats& stats) { stats.state = GetParam().state; });
  submitted.sink->OnStart({}, {});
  Deliver(*submitted.sink, 0, {10});
  Deliver(*submitted.sink, 1, {11});
  submitted.sink->OnFinish(GetParam().engine, {}, {});
  std::vector<uint32_t> tokens;
  v1::GenerateTokensResponse message;
  while (reader->Read(&message)) {
    const auto& ids = message.samples(0).token_ids();
    tokens.insert(tokens.end(), ids.begin(), ids.end());
    EXPECT_FALSE(message.has_timing());
  }
  EXPECT_THAT(tokens, ElementsAre(10, 11));
  const absl::Status status = rpc::FromGrpcStatus(reader->Finish());
  EXPECT_EQ(rpc::ReasonOf(status), GetParam().reason);
}

INSTANTIATE_TEST_SUITE_P(
    All, EngineEndTest,
    ::testing::Values(Ended{"Drained", absl::UnavailableError("draining"), EngineState::kDraining,
                            rpc::ErrorReason::kWorkerDraining},
                      Ended{"QueueTimeout", absl::ResourceExhaustedError("waited"),
                            EngineState::kServing, rpc::ErrorReason::kQueueTimeout},
                      Ended{"NonFinite", absl::InternalError("nan"), EngineState::kServing,
                            rpc::ErrorReason::kNonFiniteLogits},
                      Ended{"Fault", absl::InternalError("device"), EngineState::kFailed,
                            rpc::ErrorReason::kEngineFault}),
    [](const auto& param) { return param.param.name; });

TEST_F(GenerateTest, ASlowReaderGetsFewMessagesAndEveryToken) {
  const auto context = Context();
  Reader reader = stub_->GenerateTokens(context.get(), TestRequest("r1"));
  const auto submitted = engine_.WaitFor("r1");
  submitted.sink->OnStart({}, {});
  // Far more than the flow-control window holds: most of it waits in the queue.
  constexpr int32_t kSteps = 4'000;
  constexpr int32_t kTokens = 50;
  for (int32_t i = 0; i < kSteps; ++i) {
    Deliver(*submitted.sink, i * kTokens, std::vector<TokenId>(kTokens, 99));
  }
  submitted.sink->OnFinish(absl::OkStatus(), {}, {});
  int64_t num_tokens = 0;
  int num_messages = 0;
  v1::GenerateTokensResponse message;
  while (reader->Read(&message)) {
    ++num_messages;
    for (const auto& sample : message.samples()) {
      EXPECT_EQ(sample.first_position(), num_tokens);
      num_tokens += sample.token_ids_size();
    }
  }
  EXPECT_EQ(num_tokens, int64_t{kSteps} * kTokens);
  EXPECT_LT(num_messages, kSteps);
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(GenerateTest, StopSamplesReachesTheEngine) {
  v1::StopSamplesRequest request;
  request.set_request_id("r1");
  request.add_indices(0);
  request.add_indices(3);
  v1::StopSamplesResponse response;
  EXPECT_TRUE(stub_->StopSamples(Context().get(), request, &response).ok());
  ASSERT_EQ(engine_.stopped().size(), 1u);
  EXPECT_EQ(engine_.stopped()[0].first, "r1");
  EXPECT_THAT(engine_.stopped()[0].second, ElementsAre(0, 3));
}

TEST_F(GenerateTest, StopSamplesChecksItsFields) {
  v1::StopSamplesRequest request;
  request.add_indices(16);
  v1::StopSamplesResponse response;
  absl::Status status =
      rpc::FromGrpcStatus(stub_->StopSamples(Context().get(), request, &response));
  ASSERT_EQ(rpc::ViolationsOf(status).size(), 2u) << status;
  EXPECT_EQ(rpc::ViolationsOf(status)[0].field, "request_id");
  EXPECT_EQ(rpc::ViolationsOf(status)[1].field, "indices[0]");
  request.set_request_id("r1");
  request.clear_indices();
  status = rpc::FromGrpcStatus(stub_->StopSamples(Context().get(), request, &response));
  EXPECT_EQ(rpc::ViolationsOf(status).at(0).field, "indices");
  EXPECT_TRUE(engine_.stopped().empty());
}

TEST_F(GenerateTest, EmbeddingsAreUnimplementedWithAReason) {
  v1::EmbedTokensResponse response;
  const absl::Status status =
      rpc::FromGrpcStatus(stub_->EmbedTokens(Context().get(), {}, &response));
  EXPECT_EQ(rpc::ReasonOf(status), rpc::ErrorReason::kEmbeddingsUnsupported);
}

TEST_F(GenerateTest, TimesAndOutcomesAreOnTheMetricsPage) {
  const auto context = Context();
  Reader reader = stub_->GenerateTokens(context.get(), TestRequest("r1"));
  const auto submitted = engine_.WaitFor("r1");
  submitted.sink->OnStart({}, {});
  clock_.Advance(std::chrono::milliseconds(50));
  Deliver(*submitted.sink, 0, {10});
  v1::GenerateTokensResponse message;
  ASSERT_TRUE(reader->Read(&message));
  clock_.Advance(std::chrono::milliseconds(10));
  Deliver(*submitted.sink, 1, {11}, FinishReason::kStop);
  ASSERT_TRUE(reader->Read(&message));
  submitted.sink->OnFinish(absl::OkStatus(), {}, {.queue = std::chrono::milliseconds(20)});
  EXPECT_TRUE(Finish(reader).ok());
  // The call's last word comes after the client's: wait for the server to be done with it.
  server_->Shutdown(std::chrono::seconds(10));
  const std::string page = registry_.Render();
  for (const char* line :
       {"banyan_worker_ttft_seconds_sum{class=\"interactive\"} 0.05",
        "banyan_worker_itl_seconds_sum{class=\"interactive\"} 0.01",
        "banyan_worker_e2e_seconds_sum{class=\"interactive\"} 0.06",
        "banyan_worker_queue_seconds_sum{class=\"interactive\"} 0.02",
        "banyan_worker_requests_total{finish_reason=\"stop\",outcome=\"ok\"} 1"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
}

}  // namespace
}  // namespace banyan::worker
