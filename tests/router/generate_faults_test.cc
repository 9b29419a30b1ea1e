// Generate when something goes wrong: workers that fail, clients that leave, drains.
#include <gmock/gmock.h>

#include "tests/router/router_harness.h"

namespace banyan::router {
namespace {

using ::testing::HasSubstr;

using GenerateFaultsTest = RouterTest;

grpc::Status Unavailable() { return {grpc::StatusCode::UNAVAILABLE, "gone"}; }

TEST_F(GenerateFaultsTest, BeforeTheFirstTokenAnotherWorkerIsTried) {
  for (const char* id : {"w0", "w1", "w2"}) {
    AddWorker(id).SetScript({.fail_after_tokens = 0, .status = Unavailable()});
  }
  workers_[1]->SetScript({.text = "fine"});
  StartRouter();
  // Wherever the first attempts go, the third at the latest is the one that works.
  const Answer answer = Generate(TextRequest("p"));
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.text(), "fine");
  EXPECT_EQ(answer.worker_id, "w1");
  EXPECT_LE(workers_[0]->num_requests() + workers_[2]->num_requests(), 2u);
}

TEST_F(GenerateFaultsTest, ThreeAttemptsAreAllThereAre) {
  for (const char* id : {"w0", "w1", "w2", "w3"}) {
    AddWorker(id).SetScript({.fail_after_tokens = 0, .status = Unavailable()});
  }
  StartRouter();
  const Answer answer = Generate(TextRequest("p"));
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(rpc::ReasonOf(answer.status), rpc::ErrorReason::kWorkerLost);
  size_t attempts = 0;
  for (const auto& worker : workers_) {
    attempts += worker->num_requests();
    EXPECT_LE(worker->num_requests(), 1u) << "never twice to one worker";
  }
  EXPECT_EQ(attempts, 3u);
  EXPECT_THAT(Metrics(),
              HasSubstr("banyan_router_retries_total{cause=\"connect\",pool=\"default\"} 2"));
}

TEST_F(GenerateFaultsTest, AClientsOwnErrorIsNotTriedAgain) {
  for (const char* id : {"w0", "w1"}) {
    AddWorker(id).SetScript(
        {.fail_after_tokens = 0,
         .status =
             rpc::Error(rpc::ErrorReason::kKvCapacityExceeded, "needs 9, pool has 3").ToGrpc()});
  }
  StartRouter();
  const Answer answer = Generate(TextRequest("p"));
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(rpc::ReasonOf(answer.status), rpc::ErrorReason::kKvCapacityExceeded);
  EXPECT_EQ(workers_[0]->num_requests() + workers_[1]->num_requests(), 1u);
}

TEST_F(GenerateFaultsTest, AWorkerLostAfterTheFirstTokenIsAClearError) {
  AddWorker("w0").SetScript({.fail_after_tokens = 2, .status = Unavailable()});
  AddWorker("w1").SetScript({.fail_after_tokens = 2, .status = Unavailable()});
  StartRouter();
  const Answer answer = Generate(TextRequest("p"));
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(rpc::ReasonOf(answer.status), rpc::ErrorReason::kWorkerLost);
  EXPECT_TRUE(rpc::RetryDelayOf(answer.status).has_value());
  EXPECT_EQ(answer.text(), "he") << "what came before the loss was delivered";
  EXPECT_EQ(workers_[0]->num_requests() + workers_[1]->num_requests(), 1u);
}

TEST_F(GenerateFaultsTest, AGapInTheWorkersPositionsIsInternal) {
  AddWorker("w0").SetScript({.skip_position = true});
  StartRouter();
  const Answer answer = Generate(TextRequest("p"));
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(rpc::ReasonOf(answer.status), rpc::ErrorReason::kProtocolGap);
}

TEST_F(GenerateFaultsTest, AWorkerThatEndsTooEarlyIsInternal) {
  AddWorker("w0").SetScript({.fail_after_tokens = 1, .status = grpc::Status::OK});
  StartRouter();
  EXPECT_EQ(rpc::ReasonOf(Generate(TextRequest("p")).status), rpc::ErrorReason::kProtocolGap);
}

TEST_F(GenerateFaultsTest, CancellingReachesAWorkerThatHasNotAnsweredYet) {
  FakeWorker& worker = AddWorker("w0");
  worker.SetScript({.hold = true});
  StartRouter();
  grpc::ClientContext context;
  const auto reader = inference_->Generate(&context, TextRequest("p"));
  ASSERT_TRUE(Eventually([&] { return worker.num_requests() == 1; }));
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([&] { return worker.num_cancelled() == 1; }));
  EXPECT_TRUE(
      Eventually([&] { return Metrics().find("outcome=\"cancelled\"") != std::string::npos; }));
}

TEST_F(GenerateFaultsTest, CancellingInTheMiddleEndsTheWorkersStream) {
  FakeWorker& worker = AddWorker("w0");
  worker.SetScript({.endless = true});
  StartRouter();
  grpc::ClientContext context;
  const auto reader = inference_->Generate(&context, TextRequest("p"));
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([&] { return worker.num_cancelled() == 1; }));
}

TEST_F(GenerateFaultsTest, TheDeadlineEndsBothSides) {
  FakeWorker& worker = AddWorker("w0");
  worker.SetScript({.endless = true});
  StartRouter();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
  const Answer answer = Generate(TextRequest("p"), context);
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(Eventually([&] { return worker.num_cancelled() == 1; }));
  EXPECT_TRUE(Eventually([&] {
    return Metrics().find("outcome=\"deadline\",protocol=\"grpc\"} 1") != std::string::npos;
  }));
}

TEST_F(GenerateFaultsTest, AClientThatDoesNotReadHoldsTheWorkerBack) {
  FakeWorker& worker = AddWorker("w0");
  worker.SetScript({.text = std::string(1000, 'x'), .tokens_per_message = 400});
  StartRouter();
  v1::GenerateRequest request = TextRequest("p");
  request.mutable_sampling()->set_num_samples(16);
  request.mutable_sampling()->set_num_logprobs(20);
  request.mutable_sampling()->set_max_tokens(998);
  request.set_return_token_ids(true);
  grpc::ClientContext context;
  const auto reader = inference_->Generate(&context, request);
  // Some 16,000 tokens with log-probs are several MiB; neither side may hold them all.
  int sent = -1;
  ASSERT_TRUE(Eventually([&] { return worker.num_tokens_sent() > 0; }));
  while (sent != worker.num_tokens_sent()) {
    sent = worker.num_tokens_sent();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  v1::GenerateResponse message;
  uint32_t received = 0;
  while (reader->Read(&message)) {
    for (const v1::SampleDelta& delta : message.samples()) {
      received += static_cast<uint32_t>(delta.token_ids_size());
    }
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(received, 16u * 998u);
}

TEST_F(GenerateFaultsTest, WithoutAnyWorkerTheRouterSaysSo) {
  StartRouter();
  const Answer answer = Generate(TextRequest("p"));
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(rpc::ReasonOf(answer.status), rpc::ErrorReason::kNoWorker);
}

TEST_F(GenerateFaultsTest, AnUnknownModelIsNotFound) {
  AddWorker("w0");
  StartRouter();
  v1::GenerateRequest request = TextRequest("p");
  request.set_model("../../etc/passwd");
  const Answer answer = Generate(request);
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(rpc::ReasonOf(answer.status), rpc::ErrorReason::kModelNotFound);
}

TEST_F(GenerateFaultsTest, OpenRequestsAreBounded) {
  AddWorker("w0").SetScript({.endless = true});
  RouterOptions options = LoopbackOptions();
  options.max_active_requests = 1;
  StartRouter(options);
  grpc::ClientContext context;
  const auto reader = inference_->Generate(&context, TextRequest("p"));
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  const Answer second = Generate(TextRequest("p"));
  EXPECT_EQ(second.status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(rpc::ReasonOf(second.status), rpc::ErrorReason::kQueueFull);
  context.TryCancel();
  reader->Finish();
}

TEST_F(GenerateFaultsTest, ADrainFinishesWhatRunsAndRefusesTheRest) {
  FakeWorker& worker = AddWorker("w0");
  worker.SetScript({.text = "done", .hold = true});
  StartRouter();
  EXPECT_TRUE(Eventually([&] {
    return router_->health().Get(rpc::kHealthReadiness) == rpc::ServingStatus::kServing;
  }));
  Answer running;
  std::thread client([&] { running = Generate(TextRequest("p")); });
  ASSERT_TRUE(Eventually([&] { return worker.num_requests() == 1; }));
  router_->RequestStop(RouterProcess::StopMode::kDrain);
  EXPECT_EQ(router_->health().Get(rpc::kHealthReadiness), rpc::ServingStatus::kNotServing);
  const Answer refused = Generate(TextRequest("p"));
  EXPECT_EQ(rpc::ReasonOf(refused.status), rpc::ErrorReason::kRouterDraining);
  worker.Release();
  EXPECT_EQ(router_->Run(), rpc::ExitCode::kOk);
  client.join();
  EXPECT_TRUE(running.status.ok()) << running.status;
  EXPECT_EQ(running.text(), "done");
}

TEST_F(GenerateFaultsTest, ADrainThatRunsOutOfTimeEndsOpenStreams) {
  FakeWorker& worker = AddWorker("w0");
  worker.SetScript({.endless = true});
  RouterOptions options = LoopbackOptions();
  options.drain_deadline_s = 0;
  StartRouter(options);
  Answer running;
  std::thread client([&] { running = Generate(TextRequest("p")); });
  ASSERT_TRUE(Eventually([&] { return worker.num_tokens_sent() > 0; }));
  router_->RequestStop(RouterProcess::StopMode::kDrain);
  EXPECT_EQ(router_->Run(), rpc::ExitCode::kTryLater);
  client.join();
  EXPECT_EQ(rpc::ReasonOf(running.status), rpc::ErrorReason::kRouterDraining);
}

}  // namespace
}  // namespace banyan::router
