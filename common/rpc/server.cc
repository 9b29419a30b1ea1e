#include "common/rpc/server.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/rpc/callback_threads.h"
#include "grpc/support/log.h"
#include "grpcpp/ext/channelz_service_plugin.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/resource_quota.h"
#include "grpcpp/server_builder.h"

namespace banyan::rpc {
namespace {

constexpr int kKeepaliveTimeMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
// gRPC's own default, five minutes, would cut off every client that pings more often.
constexpr int kMinPingIntervalMs = 5'000;

constexpr std::array<ServerLimits, 4> kLimits = {{
    {.name = "public port",
     .receive_bytes_max = 8 << 20,
     .concurrent_streams_max = 1'000,
     .connection_age_max_ms = 30 * 60 * 1000,
     .connection_age_grace_ms = 60 * 60 * 1000},
    {.name = "admin port",
     .receive_bytes_max = 8 << 20,
     .concurrent_streams_max = 1'000,
     .introspection = true},
    {.name = "worker port",
     .receive_bytes_max = 16 << 20,
     .concurrent_streams_max = 4'096,
     .introspection = true},
    {.name = "health port",
     .receive_bytes_max = 64 << 10,
     .concurrent_streams_max = 100,
     .memory_bytes_max = 32u << 20},
}};

// Reflection and channelz register themselves with every server of the process; a port that is not
// for operators drops them.
class IntrospectionOption final : public grpc::ServerBuilderOption {
 public:
  explicit IntrospectionOption(bool wanted) : wanted_(wanted) {}
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    if (!wanted_) {
      plugins->erase(std::remove_if(plugins->begin(), plugins->end(), IsIntrospection),
                     plugins->end());
    }
  }

 private:
  static bool IsIntrospection(const std::unique_ptr<grpc::ServerBuilderPlugin>& plugin) {
    const std::string name = plugin->name();
    return name == "proto_reflection" || name == "channelz_service";
  }
  const bool wanted_;
};

void PrepareProcess() {
  static std::once_flag once;
  std::call_once(once, [] {
    // We serve health ourselves: the built-in service would answer SERVING from the start.
    grpc::EnableDefaultHealthCheckService(false);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::channelz::experimental::InitChannelzService();
  });
}

void Configure(grpc::ServerBuilder& builder, const ServerLimits& limits) {
  builder.SetMaxReceiveMessageSize(limits.receive_bytes_max);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, limits.metadata_bytes_max);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits.concurrent_streams_max);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinPingIntervalMs);
  if (limits.connection_age_max_ms > 0) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, limits.connection_age_max_ms);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
                               limits.connection_age_grace_ms);
  }
  // A limit on received bytes does not bound what they unpack to, and token ids hardly shrink.
  for (int i = GRPC_COMPRESS_NONE + 1; i < GRPC_COMPRESS_ALGORITHMS_COUNT; ++i) {
    builder.SetCompressionAlgorithmSupportStatus(static_cast<grpc_compression_algorithm>(i), false);
  }
  // A busy port is an error, never a silently shared one.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  grpc::ResourceQuota quota(std::string(limits.name));
  quota.Resize(limits.memory_bytes_max);
  builder.SetResourceQuota(quota);
  builder.SetOption(std::make_unique<IntrospectionOption>(limits.introspection));
}

void WriteGrpcLog(gpr_log_func_args* args) {
  static LogThrottle throttle(1'000);
  int64_t suppressed = 0;
  if (!throttle.Allow(suppressed)) return;
  const LogSeverity severity =
      args->severity == GPR_LOG_SEVERITY_ERROR ? LogSeverity::kWarning : LogSeverity::kDebug;
  Log(severity, "grpc").Field("message", args->message).Field("suppressed", suppressed);
}

}  // namespace

const ServerLimits& LimitsOf(ServerProfile profile) {
  return kLimits[static_cast<size_t>(profile)];
}

Server::Server(ListenAddress address, std::unique_ptr<HealthService> health)
    : address_(std::move(address)), health_service_(std::move(health)) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      HealthBoard& health,
                                                      std::span<grpc::Service* const> services) {
  KeepCallbackThreads();
  BANYAN_RETURN_IF_ERROR(CheckExposure(options.address, options.security));
  PrepareProcess();
  const ServerLimits& limits = LimitsOf(options.profile);
  std::unique_ptr<Server> server(
      new Server(options.address, std::make_unique<HealthService>(health)));
  grpc::ServerBuilder builder;
  Configure(builder, limits);
  int port = 0;
  builder.AddListeningPort(options.address.ToString(), grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(server->health_service_.get());
  for (grpc::Service* service : services) builder.RegisterService(service);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || port == 0) {
    return ExplainBindFailure(options.address, limits.name);
  }
  server->address_.port = static_cast<uint16_t>(port);
  return server;
}

Server::~Server() { Shutdown(Duration::zero()); }

void Server::Shutdown(Duration grace) {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now() + grace);
  server_->Wait();
  server_ = nullptr;
}

void RouteGrpcLog() {
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
  gpr_set_log_function(WriteGrpcLog);
}

}  // namespace banyan::rpc
