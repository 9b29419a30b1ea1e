// One gRPC port: settings by profile, health, reflection where operators need it, and a clear error
// when the port cannot be had. Services are callback services; the caller owns them and keeps them
// alive longer than the server. Start and Shutdown belong to one thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/rpc/health.h"
#include "common/rpc/listen_address.h"
#include "grpcpp/server.h"

namespace banyan::rpc {

// Who calls, and so which limits hold (docs/protocol.md, "gRPC settings").
enum class ServerProfile {
  kPublic,  // clients: 1,000 streams a connection, connections are renewed
  kAdmin,   // operators: reflection and channelz
  kWorker,  // routers: 16 MiB messages, 4,096 streams a connection, reflection and channelz
  kHealth,  // probes: small messages, health only
};

// Limits of a profile. One table, so that a test and the documentation can read it.
struct ServerLimits {
  std::string_view name;  // in error messages: "worker port"
  int receive_bytes_max = 0;
  int metadata_bytes_max = 16 << 10;
  int concurrent_streams_max = 0;
  int connection_age_max_ms = 0;  // 0: for ever
  int connection_age_grace_ms = 0;
  size_t memory_bytes_max = 256u << 20;
  bool introspection = false;  // reflection and channelz
};
const ServerLimits& LimitsOf(ServerProfile profile);

struct ServerOptions {
  ListenAddress address;
  ServerProfile profile = ServerProfile::kPublic;
  TransportSecurity security = TransportSecurity::kLoopbackOnly;
};

class Server {
 public:
  // Opens the port and serves `services` and grpc.health.v1 from `health`. UNAVAILABLE with one
  // sentence when the port is taken; FAILED_PRECONDITION when the address needs more security.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       HealthBoard& health,
                                                       std::span<grpc::Service* const> services);
  // Shuts down without grace.
  ~Server();

  // With the port that the kernel chose, where it was asked to.
  const ListenAddress& address() const { return address_; }
  // A channel inside the process, past the network.
  grpc::Server& grpc_server() { return *server_; }

  // Refuses new calls, waits up to `grace` for running ones, then cancels them. Returns when all
  // have ended. Idempotent.
  void Shutdown(Duration grace);

 private:
  Server(ListenAddress address, std::unique_ptr<HealthService> health);

  ListenAddress address_;
  std::unique_ptr<HealthService> health_service_;
  std::unique_ptr<grpc::Server> server_;
};

// Sends gRPC's own messages (errors only) through our log. Call once, before the first server or
// channel.
void RouteGrpcLog();

}  // namespace banyan::rpc
