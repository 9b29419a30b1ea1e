// Workers that join, leave, change and misbehave, seen through ClusterService and routing.
#include <gmock/gmock.h>

#include "common/base/block_hash.h"
#include "tests/router/router_harness.h"

namespace banyan::router {
namespace {

using ::testing::HasSubstr;

class ClusterTest : public RouterTest {
 protected:
  std::vector<v1::Worker> List() {
    grpc::ClientContext context;
    v1::ListWorkersResponse response;
    EXPECT_TRUE(cluster_->ListWorkers(&context, {}, &response).ok());
    return {response.workers().begin(), response.workers().end()};
  }
  v1::Worker Get(const std::string& address) {
    for (const v1::Worker& worker : List()) {
      if (worker.address() == address) return worker;
    }
    return {};
  }
  v1::ExplainRouteResponse Explain(const std::string& text) {
    grpc::ClientContext context;
    v1::ExplainRouteRequest request;
    *request.mutable_request() = TextRequest(text);
    v1::ExplainRouteResponse response;
    const grpc::Status status = cluster_->ExplainRoute(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  // What a worker's cache holds of a prompt, as the wire spells it.
  static std::string HashesOf(const std::string& text) {
    std::vector<TokenId> tokens = {kBeginToken};
    for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
    std::string bytes;
    for (const BlockHash& hash : HashBlocks({}, tokens, 4)) bytes += hash.ToBytes();
    return bytes;
  }
};

TEST_F(ClusterTest, ListsWorkersWithTheirLastReport) {
  AddWorker("b");
  AddWorker("a");
  StartRouter();
  const std::vector<v1::Worker> workers = List();
  ASSERT_EQ(workers.size(), 2u);
  EXPECT_EQ(workers[0].info().worker_id(), "a");
  EXPECT_EQ(workers[0].health(), v1::WORKER_HEALTH_SLOW_START);
  EXPECT_EQ(workers[0].load().kv_blocks_total(), 1000u);
  EXPECT_EQ(workers[0].pool(), "default");
  EXPECT_TRUE(Eventually([&] { return List()[0].cache_in_sync(); }));
}

TEST_F(ClusterTest, CacheEventsDrawRequestsToTheWorkerThatHasThePrefix) {
  AddWorker("w0");
  AddWorker("w1");
  AddWorker("w2");
  StartRouter();
  const std::string prompt(399, 'x');
  workers_[2]->StoreChain(HashesOf(prompt));
  ASSERT_TRUE(Eventually([&] { return Get(workers_[2]->address()).tree_blocks() == 100; }));
  const v1::ExplainRouteResponse explained = Explain(prompt + "tail");
  EXPECT_EQ(explained.prompt_tokens(), 404u);
  EXPECT_EQ(explained.decision().worker_id(), "w2");
  EXPECT_EQ(explained.decision().reason(), v1::ROUTING_REASON_PREFIX);
  EXPECT_EQ(explained.decision().expected_cached_tokens(), 400u);
  EXPECT_EQ(explained.decision().candidates_size(), 3);
  EXPECT_EQ(Generate(TextRequest(prompt + "tail")).worker_id, "w2");
  for (const auto& worker : workers_) {
    EXPECT_EQ(worker->num_requests(), worker->id() == "w2" ? 1u : 0u) << "explaining sends nothing";
  }
}

TEST_F(ClusterTest, AnotherSaltSeesNoneOfThePrefix) {
  AddWorker("w0");
  AddWorker("w1");
  StartRouter();
  const std::string prompt(399, 'x');
  workers_[0]->StoreChain(HashesOf(prompt));
  ASSERT_TRUE(Eventually([&] { return Get(workers_[0]->address()).tree_blocks() == 100; }));
  v1::GenerateRequest request = TextRequest(prompt);
  request.set_cache_salt("mine");
  request.set_explain(true);
  EXPECT_EQ(Generate(request).messages[0].routing().expected_cached_tokens(), 0u);
}

TEST_F(ClusterTest, AGapInCacheEventsResyncsAndIsCounted) {
  AddWorker("w0");
  StartRouter();
  ASSERT_TRUE(Eventually([&] { return workers_[0]->num_snapshots() == 1; }));
  workers_[0]->SkipCacheSequence();
  workers_[0]->StoreChain(HashesOf("abcdefghijk"));
  EXPECT_TRUE(Eventually([&] { return workers_[0]->num_snapshots() == 2; }));
  EXPECT_TRUE(Eventually([&] { return Get(workers_[0]->address()).tree_blocks() == 3; }));
  EXPECT_THAT(Metrics(), HasSubstr("banyan_router_worker_resyncs_total{cause=\"gap\","
                                   "pool=\"default\",worker=\"w0\"} 1"));
}

TEST_F(ClusterTest, AWorkerWithAnotherCardIsRefusedAndSaysWhy) {
  AddWorker("w0");
  StartRouter();
  FakeWorker stranger("w1");
  stranger.SetCardDigest("another card");
  grpc::ClientContext context;
  v1::AddWorkerRequest request;
  v1::AddWorkerResponse response;
  request.set_address(stranger.address());
  ASSERT_TRUE(cluster_->AddWorker(&context, request, &response).ok());
  ASSERT_TRUE(
      Eventually([&] { return Get(stranger.address()).health() == v1::WORKER_HEALTH_EJECTED; }));
  EXPECT_THAT(Get(stranger.address()).health_reason(), HasSubstr("model card"));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Generate(TextRequest("p")).worker_id, "w0");
  grpc::ClientContext again;
  EXPECT_EQ(cluster_->AddWorker(&again, request, &response).error_code(),
            grpc::StatusCode::ALREADY_EXISTS);
}

TEST_F(ClusterTest, AWorkerWithAnotherBlockSizeOrATakenIdIsRefused) {
  AddWorker("w0");
  StartRouter();
  FakeWorker blocks("w1");
  blocks.SetBlockSize(8);
  FakeWorker twin("w0");
  for (const FakeWorker* worker : {&blocks, &twin}) {
    ASSERT_TRUE(router_->registry().AddWorker(worker->address(), "").ok());
  }
  ASSERT_TRUE(Eventually([&] {
    return Get(blocks.address()).health() == v1::WORKER_HEALTH_EJECTED &&
           Get(twin.address()).health() == v1::WORKER_HEALTH_EJECTED;
  }));
  EXPECT_THAT(Get(blocks.address()).health_reason(), HasSubstr("block size 8"));
  EXPECT_THAT(Get(twin.address()).health_reason(), HasSubstr("is taken"));
}

TEST_F(ClusterTest, AWorkerThatRestartsIsFollowedAnew) {
  AddWorker("w0");
  StartRouter();
  workers_[0]->StoreChain(HashesOf("abcdefghijk"));
  ASSERT_TRUE(Eventually([&] { return Get(workers_[0]->address()).tree_blocks() == 3; }));
  workers_[0]->Restart();
  EXPECT_TRUE(Eventually([&] { return Get(workers_[0]->address()).info().epoch() == 2; }));
  ASSERT_TRUE(WaitForReady(1));
  EXPECT_TRUE(Eventually([&] { return Get(workers_[0]->address()).tree_blocks() == 0; }));
  EXPECT_EQ(Generate(TextRequest("p")).text(), "hello");
}

TEST_F(ClusterTest, AWorkerWhoseReportsStopIsLeftOut) {
  AddWorker("w0");
  AddWorker("w1");
  StartRouter();
  workers_[0]->StopReports();
  ASSERT_TRUE(
      Eventually([&] { return Get(workers_[0]->address()).health() == v1::WORKER_HEALTH_STALE; }));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Generate(TextRequest("p")).worker_id, "w1");
}

TEST_F(ClusterTest, DrainingAWorkerPassesItsProgressOn) {
  AddWorker("w0");
  AddWorker("w1");
  StartRouter();
  grpc::ClientContext context;
  v1::DrainWorkerRequest request;
  request.set_worker_id("w0");
  const auto reader = cluster_->DrainWorker(&context, request);
  v1::DrainWorkerResponse progress;
  std::vector<uint32_t> running;
  while (reader->Read(&progress)) running.push_back(progress.progress().running_sequences());
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_THAT(running, ::testing::ElementsAre(1, 0));
  EXPECT_EQ(Get(workers_[0]->address()).health(), v1::WORKER_HEALTH_DRAINING);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Generate(TextRequest("p")).worker_id, "w1");
  grpc::ClientContext unknown;
  request.set_worker_id("nobody");
  const auto failed = cluster_->DrainWorker(&unknown, request);
  EXPECT_FALSE(failed->Read(&progress));
  EXPECT_EQ(failed->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ClusterTest, ARemovedWorkerIsGoneAtOnce) {
  AddWorker("w0");
  AddWorker("w1");
  StartRouter();
  grpc::ClientContext context;
  v1::RemoveWorkerRequest request;
  v1::RemoveWorkerResponse response;
  request.set_worker_id("w0");
  ASSERT_TRUE(cluster_->RemoveWorker(&context, request, &response).ok());
  EXPECT_EQ(List().size(), 1u);
  EXPECT_EQ(Generate(TextRequest("p")).worker_id, "w1");
  grpc::ClientContext again;
  EXPECT_EQ(cluster_->RemoveWorker(&again, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(Eventually([&] { return Metrics().find("worker=\"w0\"") == std::string::npos; }));
}

TEST_F(ClusterTest, WatchWorkersSendsPicturesUntilItIsCancelled) {
  AddWorker("w0");
  StartRouter();
  grpc::ClientContext context;
  v1::WatchWorkersRequest request;
  request.set_interval_ms(100);
  const auto reader = cluster_->WatchWorkers(&context, request);
  v1::WatchWorkersResponse picture;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(reader->Read(&picture));
    EXPECT_EQ(picture.workers_size(), 1);
    EXPECT_GT(picture.tree().bytes_max(), 0u);
  }
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  grpc::ClientContext bad_context;
  request.set_interval_ms(5);
  const auto bad = cluster_->WatchWorkers(&bad_context, request);
  EXPECT_EQ(bad->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ClusterTest, DrainRouterReportsUntilNothingIsOpen) {
  AddWorker("w0").SetScript({.endless = true});
  StartRouter();
  Answer running;
  std::thread client([&] { running = Generate(TextRequest("p")); });
  ASSERT_TRUE(Eventually([&] { return workers_[0]->num_tokens_sent() > 0; }));
  grpc::ClientContext context;
  v1::DrainRouterRequest request;
  request.set_deadline_ms(300);
  const auto reader = cluster_->DrainRouter(&context, request);
  v1::DrainRouterResponse progress;
  ASSERT_TRUE(reader->Read(&progress));
  EXPECT_EQ(progress.active_streams(), 1u);
  while (reader->Read(&progress)) {
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(progress.active_streams(), 0u);
  client.join();
  EXPECT_EQ(rpc::ReasonOf(running.status), rpc::ErrorReason::kRouterDraining);
}

TEST_F(ClusterTest, TwoModelsNeedANameAndAreRouted) {
  AddWorker("w0", "alpha");
  AddWorker("w1", "beta");
  StartRouter();
  const Answer unnamed = Generate(TextRequest("p"));
  EXPECT_EQ(unnamed.status.code(), absl::StatusCode::kInvalidArgument);
  v1::GenerateRequest request = TextRequest("p");
  request.set_model("beta");
  EXPECT_EQ(Generate(request).worker_id, "w1");
  grpc::ClientContext context;
  v1::ListModelRoutesResponse routes;
  ASSERT_TRUE(cluster_->ListModelRoutes(&context, {}, &routes).ok());
  ASSERT_EQ(routes.routes_size(), 2);
  EXPECT_EQ(routes.routes(0).model(), "alpha");
}

TEST_F(ClusterTest, WhatThisBuildDoesNotServeSaysSo) {
  StartRouter();
  grpc::ClientContext hot_context;
  v1::ListHotPrefixesResponse hot;
  EXPECT_EQ(cluster_->ListHotPrefixes(&hot_context, {}, &hot).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  grpc::ClientContext route_context;
  v1::SetModelRouteResponse route;
  EXPECT_EQ(cluster_->SetModelRoute(&route_context, {}, &route).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace banyan::router
