// A WorkerService over a FakeEngine behind a real gRPC port, with a clock that stands still.
#pragma once

#include <memory>

#include "banyan/v1/worker_service.grpc.pb.h"
#include "common/rpc/channel.h"
#include "common/rpc/errors.h"
#include "common/rpc/server.h"
#include "gtest/gtest.h"
#include "tests/worker/service/fake_engine.h"
#include "worker/service/worker_service.h"

namespace banyan::worker {

inline constexpr char kTestFingerprint[] = "0123456789abcdef0123456789abcdef";
inline constexpr uint64_t kTestEpoch = 77;

inline TextAssets TestAssets() {
  return {{{"config.json", "{\"vocab\":100}"},
           {"empty.txt", ""},
           {"tokenizer.json", std::string((600 << 10) + 5, 't')}}};
}

// A request that is valid for ServiceFixture's limits.
inline v1::GenerateTokensRequest TestRequest(const std::string& id) {
  v1::GenerateTokensRequest request;
  request.set_request_id(id);
  request.set_router_id(9);
  request.set_dispatch_sequence(1);
  request.set_model_fingerprint(kTestFingerprint);
  for (const uint32_t token : {1u, 2u, 3u}) request.add_prompt_token_ids(token);
  request.mutable_sampling()->set_seed(42);
  request.set_priority(v1::PRIORITY_INTERACTIVE);
  request.set_cache_salt(std::string(16, '\0'));
  return request;
}

class ServiceFixture : public ::testing::Test {
 protected:
  ServiceFixture() {
    auto started = rpc::Server::Start(
        {.address = {"127.0.0.1", 0}, .profile = rpc::ServerProfile::kWorker}, board_, services_);
    EXPECT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
    stub_ = v1::WorkerService::NewStub(
        rpc::CreateChannel(server_->address().ToString(), rpc::ChannelProfile::kClient));
  }
  // The server first: its calls use everything else.
  ~ServiceFixture() override { server_->Shutdown(Duration::zero()); }

  // A call's context; gives up long before the test's own limit.
  static std::unique_ptr<grpc::ClientContext> Context() {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_wait_for_ready(true);
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return context;
  }

  FakeEngine engine_;
  FakeClock clock_;
  rpc::HealthBoard board_;
  ModelCard card_{TestAssets()};
  WorkerIdentity identity_{.worker_id = "w0",
                           .epoch = kTestEpoch,
                           .version = "1.2.3",
                           .model = "toy",
                           .model_fingerprint = kTestFingerprint,
                           .model_card_digest = card_.digest(),
                           .architecture = "llama",
                           .weight_format = "bf16",
                           .kv_format = "bf16",
                           .backend = "cpu",
                           .context_length = 64,
                           .vocabulary_size = 100,
                           .hidden_size = 8,
                           .block_size = 16,
                           .num_blocks = 32,
                           .max_running_sequences = 4,
                           .max_step_tokens = 64,
                           .max_waiting_requests = 8};
  ConversionLimits limits_{
      .model_fingerprint = kTestFingerprint, .context_length = 64, .vocabulary_size = 100};
  rpc::MetricsRegistry registry_{WorkerMetricSpecs()};
  WorkerMetrics metrics_{registry_};
  WatcherHub hub_{clock_, WatcherHub::Mode::kManual};
  WorkerService service_{{.engine = engine_,
                          .identity = identity_,
                          .card = card_,
                          .limits = limits_,
                          .metrics = metrics_,
                          .hub = hub_,
                          .clock = clock_}};
  std::vector<grpc::Service*> services_{&service_};
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
};

}  // namespace banyan::worker
