#include "common/rpc/callback_threads.h"

#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"

namespace banyan::rpc {
namespace {

// One call that fails at once, on a channel without credentials; making it is what takes the
// reference.
struct HeldChannel {
  HeldChannel()
      : channel(grpc::CreateChannel("nowhere", nullptr)),
        stub(grpc::health::v1::Health::NewStub(channel)) {
    stub->async()->Check(&context, &request, &response, [](const grpc::Status&) {});
  }
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<grpc::health::v1::Health::Stub> stub;
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckRequest request;
  grpc::health::v1::HealthCheckResponse response;
};

}  // namespace

void KeepCallbackThreads() {
  // Never destroyed, on purpose.
  static HeldChannel* const held = new HeldChannel;
  (void)held;
}

}  // namespace banyan::rpc
