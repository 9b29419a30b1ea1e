#include "common/rpc/channel.h"

#include "common/rpc/callback_threads.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"

namespace banyan::rpc {

std::shared_ptr<grpc::Channel> CreateChannel(const std::string& address, ChannelProfile profile) {
  KeepCallbackThreads();
  grpc::ChannelArguments args;
  // Snapshots are chunked at 64 KiB and cards at 256 KiB; prompt log-probs are what may be large.
  args.SetMaxReceiveMessageSize(64 << 20);
  args.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 16 << 10);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // Despite its name, the least time that one connection attempt gets.
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5'000);
  args.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  args.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // A connection of its own: what one channel's calls do to it cannot end another's.
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (profile == ChannelProfile::kWorker) {
    args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
    args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
    args.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    args.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  }
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), args);
}

}  // namespace banyan::rpc
