// A router in this process with scripted workers behind it, and what tests do with them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "banyan/v1/cluster_service.grpc.pb.h"
#include "banyan/v1/inference_service.grpc.pb.h"
#include "common/rpc/channel.h"
#include "common/rpc/errors.h"
#include "router/router_process.h"
#include "tests/router/fake_text.h"
#include "tests/router/fake_worker.h"

namespace banyan::router {

// One answer, put together.
struct Answer {
  absl::Status status;
  std::vector<v1::GenerateResponse> messages;
  std::vector<std::string> texts;  // by sample
  std::vector<v1::SampleDelta> ends;
  std::string worker_id;  // from the initial metadata
  std::string request_id;

  const v1::Usage& usage() const { return messages.back().usage(); }
  std::string text() const { return texts.empty() ? std::string() : texts[0]; }
};

class RouterTest : public ::testing::Test {
 protected:
  // Waits for `condition`; fails the test after 10 s.
  template <typename Condition>
  static bool Eventually(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  FakeWorker& AddWorker(const std::string& id, const std::string& model = "m") {
    workers_.push_back(std::make_unique<FakeWorker>(id, model));
    return *workers_.back();
  }

  static RouterOptions LoopbackOptions() {
    RouterOptions options;
    options.listen = options.admin_listen = options.health_listen = "127.0.0.1:0";
    // Closing it takes its library 2 s; the page itself is read without it.
    options.metrics_listen.clear();
    options.text_threads = 2;
    options.drain_admit_ms = 0;
    options.drain_deadline_s = 5;
    options.log.level = "error";
    return options;
  }

  // A router over all workers so far; waits until they are ready.
  void StartRouter(RouterOptions options = LoopbackOptions()) {
    for (const auto& worker : workers_) options.workers.push_back(worker->address());
    auto router = RouterProcess::Start(
        options, [](const TextAssets&) -> absl::StatusOr<std::shared_ptr<const TextModel>> {
          return MakeByteTextModel();
        });
    ASSERT_TRUE(router.ok()) << router.status();
    router_ = *std::move(router);
    inference_ = v1::InferenceService::NewStub(
        rpc::CreateChannel(router_->address().ToString(), rpc::ChannelProfile::kClient));
    cluster_ = v1::ClusterService::NewStub(
        rpc::CreateChannel(router_->admin_address().ToString(), rpc::ChannelProfile::kClient));
    ASSERT_TRUE(WaitForReady(workers_.size()));
  }
  bool WaitForReady(size_t num_workers) {
    return Eventually([&] { return router_->registry().num_ready_workers() == num_workers; });
  }

  static v1::GenerateRequest TextRequest(const std::string& text) {
    v1::GenerateRequest request;
    request.set_text(text);
    request.mutable_sampling()->set_seed(7);
    return request;
  }

  Answer Generate(const v1::GenerateRequest& request, grpc::ClientContext& context) {
    Answer answer;
    const auto reader = inference_->Generate(&context, request);
    v1::GenerateResponse message;
    while (reader->Read(&message)) {
      for (const v1::SampleDelta& delta : message.samples()) {
        if (answer.texts.size() <= delta.index()) {
          answer.texts.resize(delta.index() + 1);
          answer.ends.resize(delta.index() + 1);
        }
        answer.texts[delta.index()] += delta.text();
        if (delta.finish_reason() != v1::FINISH_REASON_UNSPECIFIED) {
          EXPECT_EQ(answer.ends[delta.index()].finish_reason(), v1::FINISH_REASON_UNSPECIFIED);
          answer.ends[delta.index()] = delta;
        }
      }
      answer.messages.push_back(message);
    }
    answer.status = rpc::FromGrpcStatus(reader->Finish());
    const auto& metadata = context.GetServerInitialMetadata();
    if (const auto found = metadata.find("banyan-worker-id"); found != metadata.end()) {
      answer.worker_id = std::string(found->second.data(), found->second.size());
    }
    if (const auto found = metadata.find("x-request-id"); found != metadata.end()) {
      answer.request_id = std::string(found->second.data(), found->second.size());
    }
    return answer;
  }
  Answer Generate(const v1::GenerateRequest& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return Generate(request, context);
  }

  std::string Metrics() { return router_->metrics_registry().Render(); }

  std::vector<std::unique_ptr<FakeWorker>> workers_;
  std::unique_ptr<RouterProcess> router_;
  std::unique_ptr<v1::InferenceService::Stub> inference_;
  std::unique_ptr<v1::ClusterService::Stub> cluster_;
};

}  // namespace banyan::router
