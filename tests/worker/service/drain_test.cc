// Drain, Undrain and the health names.
#include "gmock/gmock.h"
#include "tests/worker/service/service_fixture.h"
#include "worker/service/drain_call.h"
#include "worker/service/health_monitor.h"

namespace banyan::worker {
namespace {

using Reader = std::unique_ptr<grpc::ClientReader<v1::DrainResponse>>;

class DrainTest : public ServiceFixture {
 protected:
  Reader Drain(grpc::ClientContext& context, v1::DrainMode mode, uint32_t deadline_ms) {
    v1::DrainRequest request;
    request.set_mode(mode);
    request.set_deadline_ms(deadline_ms);
    return stub_->Drain(&context, request);
  }
  static v1::DrainResponse Read(Reader& reader) {
    v1::DrainResponse progress;
    EXPECT_TRUE(reader->Read(&progress));
    return progress;
  }
};

TEST_F(DrainTest, ReportsProgressAndEndsEmpty) {
  engine_.ChangeStats([](EngineStats& stats) { stats.running_sequences = 2; });
  const auto context = Context();
  Reader reader = Drain(*context, v1::DRAIN_MODE_FINISH, 5'000);
  EXPECT_EQ(Read(reader).running_sequences(), 2u);
  ASSERT_EQ(engine_.drains().size(), 1u);
  EXPECT_EQ(engine_.drains()[0], clock_.Now() + std::chrono::seconds(5));
  engine_.ChangeStats([](EngineStats& stats) { stats.running_sequences = 1; });
  hub_.TickAll();
  EXPECT_EQ(Read(reader).running_sequences(), 1u);
  clock_.Advance(kDrainReportPeriod);
  hub_.TickAll();
  EXPECT_EQ(Read(reader).running_sequences(), 1u);
  engine_.ChangeStats([](EngineStats& stats) {
    stats.running_sequences = 0;
    stats.state = EngineState::kDrained;
  });
  hub_.TickAll();
  EXPECT_EQ(Read(reader).running_sequences(), 0u);
  v1::DrainResponse none;
  EXPECT_FALSE(reader->Read(&none));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(DrainTest, HandOverEndsRunningRequestsNow) {
  const auto request_context = Context();
  auto stream = stub_->GenerateTokens(request_context.get(), TestRequest("r1"));
  const auto submitted = engine_.WaitFor("r1");
  engine_.ChangeStats([](EngineStats& stats) { stats.running_sequences = 1; });
  const auto context = Context();
  Reader reader = Drain(*context, v1::DRAIN_MODE_HAND_OVER, 5'000);
  EXPECT_EQ(Read(reader).handed_over_requests(), 0u);
  EXPECT_EQ(engine_.drains().at(0), clock_.Now());
  submitted.sink->OnFinish(absl::UnavailableError("draining"), {}, {});
  engine_.ChangeStats([](EngineStats& stats) {
    stats.running_sequences = 0;
    stats.state = EngineState::kDrained;
  });
  hub_.TickAll();
  EXPECT_EQ(Read(reader).handed_over_requests(), 1u);
  EXPECT_TRUE(reader->Finish().ok());
  v1::GenerateTokensResponse message;
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(rpc::ReasonOf(rpc::FromGrpcStatus(stream->Finish())),
            rpc::ErrorReason::kWorkerDraining);
}

TEST_F(DrainTest, NoDeadlineMeansThirtySeconds) {
  const auto context = Context();
  Reader reader = Drain(*context, v1::DRAIN_MODE_UNSPECIFIED, 0);
  Read(reader);
  EXPECT_EQ(engine_.drains().at(0), clock_.Now() + std::chrono::seconds(30));
  context->TryCancel();
}

TEST_F(DrainTest, FieldsHaveLimits) {
  const auto context = Context();
  Reader reader = Drain(*context, static_cast<v1::DrainMode>(7), 86'400'001);
  v1::DrainResponse progress;
  EXPECT_FALSE(reader->Read(&progress));
  const absl::Status status = rpc::FromGrpcStatus(reader->Finish());
  ASSERT_EQ(rpc::ViolationsOf(status).size(), 2u) << status;
  EXPECT_EQ(rpc::ViolationsOf(status)[0].field, "deadline_ms");
  EXPECT_EQ(rpc::ViolationsOf(status)[1].field, "mode");
  EXPECT_TRUE(engine_.drains().empty());
}

TEST_F(DrainTest, UndrainTakesItBackAndEndsTheDrainCall) {
  engine_.ChangeStats([](EngineStats& stats) { stats.running_sequences = 1; });
  const auto context = Context();
  Reader reader = Drain(*context, v1::DRAIN_MODE_FINISH, 0);
  Read(reader);
  v1::UndrainResponse response;
  EXPECT_TRUE(stub_->Undrain(Context().get(), {}, &response).ok());
  EXPECT_EQ(engine_.Stats().state, EngineState::kServing);
  hub_.TickAll();
  v1::DrainResponse progress;
  EXPECT_FALSE(reader->Read(&progress));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

// --- health ---

class HealthMonitorTest : public ::testing::Test {
 protected:
  bool Serving(std::string_view name) const {
    return board_.Get(name) == rpc::ServingStatus::kServing;
  }
  // readiness, the overall name and the service's name move together.
  bool Ready() const {
    EXPECT_EQ(Serving(rpc::kHealthReadiness), Serving(rpc::kHealthOverall));
    EXPECT_EQ(Serving(rpc::kHealthReadiness), Serving(kHealthWorkerService));
    return Serving(rpc::kHealthReadiness);
  }
  void Tick() { monitor_.Tick(clock_.Now()); }

  FakeEngine engine_;
  FakeClock clock_;
  rpc::HealthBoard board_;
  HealthMonitor monitor_{engine_, 8, board_};
};

TEST_F(HealthMonitorTest, LoadingIsAliveAndNothingElse) {
  SetLoading(board_);
  EXPECT_FALSE(Ready());
  EXPECT_FALSE(Serving(rpc::kHealthStartup));
  EXPECT_TRUE(Serving(rpc::kHealthLiveness));
}

TEST_F(HealthMonitorTest, ServingIsReady) {
  SetLoading(board_);
  Tick();
  EXPECT_TRUE(Ready());
  EXPECT_TRUE(Serving(rpc::kHealthStartup));
  EXPECT_TRUE(Serving(rpc::kHealthLiveness));
}

TEST_F(HealthMonitorTest, DrainingIsNotReadyAndAlive) {
  Tick();
  engine_.Drain(clock_.Now());
  Tick();
  EXPECT_FALSE(Ready());
  EXPECT_TRUE(Serving(rpc::kHealthStartup));
  EXPECT_TRUE(Serving(rpc::kHealthLiveness));
  engine_.Undrain();
  Tick();
  EXPECT_TRUE(Ready());
}

TEST_F(HealthMonitorTest, SaturationCostsReadinessAfterTenSecondsOnly) {
  engine_.ChangeStats([](EngineStats& stats) { stats.waiting_requests = 8; });
  Tick();
  clock_.Advance(std::chrono::milliseconds(9'999));
  Tick();
  EXPECT_TRUE(Ready());
  clock_.Advance(std::chrono::milliseconds(1));
  Tick();
  EXPECT_FALSE(Ready());
  EXPECT_TRUE(Serving(rpc::kHealthLiveness));
  engine_.ChangeStats([](EngineStats& stats) { stats.waiting_requests = 7; });
  Tick();
  EXPECT_TRUE(Ready());
}

TEST_F(HealthMonitorTest, AHeartbeatThatStandsStillForThirtySecondsIsDeath) {
  Tick();
  for (int i = 0; i < 40; ++i) {
    engine_.ChangeStats([](EngineStats& stats) { ++stats.heartbeats; });
    clock_.Advance(std::chrono::seconds(1));
    Tick();
  }
  EXPECT_TRUE(Serving(rpc::kHealthLiveness));
  clock_.Advance(std::chrono::seconds(29));
  Tick();
  EXPECT_TRUE(Serving(rpc::kHealthLiveness));
  clock_.Advance(std::chrono::seconds(1));
  Tick();
  EXPECT_FALSE(Serving(rpc::kHealthLiveness));
  EXPECT_FALSE(Ready());
}

TEST_F(HealthMonitorTest, AFailedEngineIsDeadAtOnce) {
  Tick();
  engine_.ChangeStats([](EngineStats& stats) { stats.state = EngineState::kFailed; });
  Tick();
  EXPECT_FALSE(Serving(rpc::kHealthLiveness));
  EXPECT_FALSE(Ready());
}

}  // namespace
}  // namespace banyan::worker
