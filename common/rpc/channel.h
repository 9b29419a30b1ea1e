// Client channels with our settings (docs/protocol.md, "gRPC settings"). Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "grpcpp/channel.h"

namespace banyan::rpc {

enum class ChannelProfile {
  // Router to worker: pings every 10 s, so that a lost worker is known within 15 s; reconnects
  // after 100 ms to 5 s; no retries (the router owns them).
  kWorker,
  // Command line to router or worker: the same limits, no pings without calls.
  kClient,
};

// A channel with a connection of its own. `address` is "host:port"; no proxy and no service
// configuration from DNS is used. Never fails here: a dead address shows as UNAVAILABLE on the
// first call.
std::shared_ptr<grpc::Channel> CreateChannel(const std::string& address, ChannelProfile profile);

}  // namespace banyan::rpc
