#include "common/rpc/server.h"

#include "banyan/v1/cluster_service.grpc.pb.h"
#include "common/rpc/channel.h"
#include "common/rpc/errors.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"

namespace banyan::rpc {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using ::testing::HasSubstr;

ServerOptions LoopbackOptions(ServerProfile profile, uint16_t port = 0) {
  return {.address = {"127.0.0.1", port}, .profile = profile};
}

std::unique_ptr<Server> StartServer(HealthBoard& board, ServerProfile profile) {
  auto server = Server::Start(LoopbackOptions(profile), board, {});
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

std::unique_ptr<Health::Stub> HealthStub(const Server& server) {
  return Health::NewStub(CreateChannel(server.address().ToString(), ChannelProfile::kClient));
}

absl::StatusOr<HealthCheckResponse::ServingStatus> Check(Health::Stub& stub,
                                                         const std::string& name) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  HealthCheckRequest request;
  request.set_service(name);
  HealthCheckResponse response;
  const grpc::Status status = stub.Check(&context, request, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  return response.status();
}

TEST(ServerTest, BeginsNotServingOnThePortThatTheKernelChose) {
  HealthBoard board;
  const auto server = StartServer(board, ServerProfile::kWorker);
  EXPECT_NE(server->address().port, 0);
  const auto stub = HealthStub(*server);
  EXPECT_EQ(*Check(*stub, ""), HealthCheckResponse::NOT_SERVING);
  board.Set(kHealthOverall, ServingStatus::kServing);
  EXPECT_EQ(*Check(*stub, ""), HealthCheckResponse::SERVING);
}

TEST(ServerTest, UnknownHealthNameIsNotFound) {
  HealthBoard board;
  const auto server = StartServer(board, ServerProfile::kHealth);
  EXPECT_EQ(Check(*HealthStub(*server), "no.such.Service").status().code(),
            absl::StatusCode::kNotFound);
}

TEST(ServerTest, TwoPortsServeOneBoard) {
  HealthBoard board;
  const auto worker = StartServer(board, ServerProfile::kWorker);
  const auto probes = StartServer(board, ServerProfile::kHealth);
  board.Set(kHealthStartup, ServingStatus::kServing);
  EXPECT_EQ(*Check(*HealthStub(*worker), "startup"), HealthCheckResponse::SERVING);
  EXPECT_EQ(*Check(*HealthStub(*probes), "startup"), HealthCheckResponse::SERVING);
}

TEST(ServerTest, WatchReportsEveryChangeAndUnknownNamesThatAppear) {
  HealthBoard board;
  const auto server = StartServer(board, ServerProfile::kHealth);
  const auto stub = HealthStub(*server);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  HealthCheckRequest request;
  request.set_service("readiness");
  const auto reader = stub->Watch(&context, request);
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  board.Set("readiness", ServingStatus::kNotServing);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  board.Set("readiness", ServingStatus::kNotServing);
  board.Set("readiness", ServingStatus::kServing);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST(ServerTest, ShutdownEndsOpenWatches) {
  HealthBoard board;
  auto server = StartServer(board, ServerProfile::kHealth);
  const auto stub = HealthStub(*server);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  const auto reader = stub->Watch(&context, HealthCheckRequest());
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  server->Shutdown(Duration::zero());
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_FALSE(reader->Finish().ok());
  board.Set(kHealthOverall, ServingStatus::kServing);
}

TEST(ServerTest, BusyPortIsOneSentenceThatNamesTheAddress) {
  HealthBoard board;
  const auto first = StartServer(board, ServerProfile::kWorker);
  const auto second =
      Server::Start(LoopbackOptions(ServerProfile::kWorker, first->address().port), board, {});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  const std::string message(second.status().message());
  EXPECT_THAT(message, HasSubstr("worker port: " + first->address().ToString() + " is in use"));
  EXPECT_THAT(message, HasSubstr("choose another port"));
}

TEST(ServerTest, OffLoopbackNeedsInsecure) {
  HealthBoard board;
  ServerOptions options = {.address = {"0.0.0.0", 0}, .profile = ServerProfile::kWorker};
  const auto refused = Server::Start(options, board, {});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("--insecure"));
  options.security = TransportSecurity::kInsecure;
  EXPECT_TRUE(Server::Start(options, board, {}).ok());
}

// Whether the server answers a call of the method at all.
grpc::StatusCode CallRaw(const Server& server, const std::string& method) {
  const auto channel = CreateChannel(server.address().ToString(), ChannelProfile::kClient);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  const grpc::ByteBuffer request;
  const auto call = stub.PrepareUnaryCall(&context, method, request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status.error_code();
}

TEST(ServerTest, IntrospectionIsForOperatorsOnly) {
  const std::string channelz = "/grpc.channelz.v1.Channelz/GetServers";
  HealthBoard board;
  EXPECT_EQ(CallRaw(*StartServer(board, ServerProfile::kPublic), channelz),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_NE(CallRaw(*StartServer(board, ServerProfile::kAdmin), channelz),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_NE(CallRaw(*StartServer(board, ServerProfile::kWorker), channelz),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST(ServerTest, OversizedMetadataEndsTheCallOrItsConnectionOnly) {
  HealthBoard board;
  const auto server = StartServer(board, ServerProfile::kPublic);
  const auto stub = HealthStub(*server);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.AddMetadata("x-large", std::string(1 << 20, 'x'));
  HealthCheckResponse response;
  EXPECT_FALSE(stub->Check(&context, HealthCheckRequest(), &response).ok());
  EXPECT_TRUE(Check(*HealthStub(*server), "").ok());
}

TEST(ServerTest, OversizedMessageIsResourceExhausted) {
  HealthBoard board;
  const auto server = StartServer(board, ServerProfile::kHealth);
  const auto stub = HealthStub(*server);
  EXPECT_EQ(Check(*stub, std::string(1 << 20, 'x')).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Check(*stub, "").ok());
}

// What is small on the wire may be large in memory: compressed messages are refused unread.
TEST(ServerTest, CompressedMessagesAreRefused) {
  HealthBoard board;
  const auto server = StartServer(board, ServerProfile::kWorker);
  const auto stub = HealthStub(*server);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  HealthCheckRequest request;
  request.set_service(std::string(8 << 20, 'x'));
  HealthCheckResponse response;
  EXPECT_EQ(stub->Check(&context, request, &response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_TRUE(Check(*HealthStub(*server), "").ok());
}

}  // namespace
}  // namespace banyan::rpc
