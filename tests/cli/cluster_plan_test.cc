#include "cli/cluster_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/start_up_block.h"

namespace banyan::cli {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

TEST(ClusterPlanTest, PortsFollowTheProtocolFromTheDefaultPort) {
  const rpc::ListenAddress listen{"127.0.0.1", 7070};
  const ProcessPorts router = RouterPorts(listen);
  EXPECT_EQ(router.metrics.port, 7071);
  EXPECT_EQ(router.admin.port, 7072);
  EXPECT_EQ(router.health.port, 7073);
  const ProcessPorts worker = WorkerPorts(listen, 2);
  EXPECT_EQ(worker.listen.port, 7082);
  EXPECT_EQ(worker.metrics.port, 7182);
  EXPECT_EQ(worker.health.port, 7282);
}

TEST(ClusterPlanTest, PortZeroLeavesAllPortsToTheKernel) {
  const ProcessPorts worker = WorkerPorts({"127.0.0.1", 0}, 3);
  EXPECT_EQ(worker.listen.port, 0);
  EXPECT_EQ(worker.health.port, 0);
  EXPECT_EQ(RouterPorts({"127.0.0.1", 0}).admin.port, 0);
}

TEST(ClusterPlanTest, OnlyTheClientPortsLeaveTheMachine) {
  const rpc::ListenAddress everywhere{"0.0.0.0", 7070};
  EXPECT_TRUE(RouterPorts(everywhere).admin.IsLoopback());
  EXPECT_TRUE(WorkerPorts(everywhere, 0).listen.IsLoopback());
}

TEST(ClusterPlanTest, BadListenAddressesNameTheFlag) {
  ServeOptions options;
  options.listen = "0.0.0.0:7070";
  EXPECT_THAT(std::string(CheckServeOptions(options).message()), HasSubstr("--insecure"));
  options.insecure = true;
  EXPECT_TRUE(CheckServeOptions(options).ok());
  options.listen = "127.0.0.1:65500";
  EXPECT_THAT(std::string(CheckServeOptions(options).message()),
              HasSubstr("--listen: port 65500 leaves no room"));
  options.listen = "nonsense";
  EXPECT_FALSE(CheckServeOptions(options).ok());
}

TEST(ClusterPlanTest, ThreadsAreSharedByTheWorkersAndNeverZero) {
  ServeOptions options;
  options.threads = 5;
  options.num_workers = 2;
  const ProcessPorts ports = WorkerPorts({"127.0.0.1", 7070}, 1);
  EXPECT_THAT(WorkerArguments(options, "m.gguf", 1, ports, "p"), Contains("--threads=2"));
  options.num_workers = 8;
  EXPECT_THAT(WorkerArguments(options, "m.gguf", 1, ports, "p"), Contains("--threads=1"));
}

TEST(ClusterPlanTest, RouterHearsOfEveryWorkerAndExtraFlagsComeLast) {
  ServeOptions options;
  options.router_args = {"--max-active-requests=7"};
  const auto arguments = RouterArguments(options, RouterPorts({"127.0.0.1", 7070}),
                                         {"127.0.0.1:1", "127.0.0.1:2"}, "p");
  EXPECT_THAT(arguments, Contains("--workers=127.0.0.1:1"));
  EXPECT_THAT(arguments, Contains("--workers=127.0.0.1:2"));
  EXPECT_EQ(arguments.back(), "--max-active-requests=7");
}

TEST(StartUpBlockTest, SaysHowManyLongRequestsFit) {
  StartUpFacts facts;
  facts.worker_plan.fields = {
      {"kv_tokens", "65536"}, {"model", "smollm2"}, {"context_length", "8192"}};
  facts.router = RouterPorts({"127.0.0.1", 7070});
  facts.workers = {WorkerPorts({"127.0.0.1", 7070}, 0), WorkerPorts({"127.0.0.1", 7070}, 1)};
  const std::string block = FormatStartUpBlock(facts);
  EXPECT_THAT(
      block, HasSubstr("131,072 tokens in all workers; maximum concurrency for 4,096 tokens: 32x"));
  EXPECT_THAT(block, HasSubstr("http://127.0.0.1:7071/metrics"));
  EXPECT_THAT(block, HasSubstr("http://127.0.0.1:7181/metrics"));
}

TEST(StartUpBlockTest, CountsWholeContextsWhereTheModelsIsShort) {
  StartUpFacts facts;
  facts.worker_plan.fields = {{"kv_tokens", "65536"}, {"context_length", "1024"}};
  facts.router = RouterPorts({"127.0.0.1", 7070});
  facts.workers = {WorkerPorts({"127.0.0.1", 7070}, 0)};
  EXPECT_THAT(FormatStartUpBlock(facts), HasSubstr("maximum concurrency for 1,024 tokens: 64x"));
}

}  // namespace
}  // namespace banyan::cli
