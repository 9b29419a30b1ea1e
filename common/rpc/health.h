// grpc.health.v1: what probes and load balancers ask. A HealthBoard holds one answer per name; any
// number of ports serve it through their own HealthService.
//
// Every name, "" included, begins as NOT_SERVING. Unknown names: Check answers NOT_FOUND, Watch
// SERVICE_UNKNOWN (and goes on, should the name appear). Names are added before the ports open or
// after; they never go. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "grpc/health/v1/health.grpc.pb.h"

namespace banyan::rpc {

enum class ServingStatus { kServing, kNotServing };

// Names that both processes have.
inline constexpr std::string_view kHealthOverall = "";             // admits now
inline constexpr std::string_view kHealthStartup = "startup";      // model loaded, warm
inline constexpr std::string_view kHealthReadiness = "readiness";  // admits now
inline constexpr std::string_view kHealthLiveness = "liveness";    // heartbeat younger than 30 s

class HealthBoard {
 public:
  HealthBoard();
  HealthBoard(const HealthBoard&) = delete;
  HealthBoard& operator=(const HealthBoard&) = delete;

  // Adds the name where it is new. Watchers hear of changes only.
  void Set(std::string_view name, ServingStatus status);
  // Absent: unknown name.
  std::optional<ServingStatus> Get(std::string_view name) const;

 private:
  friend class HealthService;
  class Watcher;

  void Attach(Watcher* watcher);
  void Detach(Watcher* watcher);

  mutable std::mutex mutex_;
  std::map<std::string, ServingStatus, std::less<>> statuses_;
  std::set<Watcher*> watchers_;
};

// Serves a board on one port. The board must outlive the server.
class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  explicit HealthService(HealthBoard& board) : board_(board) {}

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse* response) override;
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request) override;

 private:
  HealthBoard& board_;
};

}  // namespace banyan::rpc
