// Derives the health names from the engine's stats at every tick of the hub:
// "", banyan.v1.WorkerService and readiness: admits now (serving, and the queue was not full for
// 10 s); startup: serving has begun once; liveness: the engine has not failed and its heartbeat
// moved within 30 s.
//
// Before the engine exists, the process sets the names itself (SetLoading). After that they belong
// to the thread of the hub.
#pragma once

#include <cstdint>
#include <optional>

#include "common/rpc/health.h"
#include "worker/engine/engine.h"
#include "worker/service/watcher_hub.h"

namespace banyan::worker {

inline constexpr std::string_view kHealthWorkerService = "banyan.v1.WorkerService";
inline constexpr Duration kQueueFullMax = std::chrono::seconds(10);
inline constexpr Duration kHeartbeatAgeMax = std::chrono::seconds(30);

// The names while the model loads: alive, nothing else.
void SetLoading(rpc::HealthBoard& board);

class HealthMonitor final : public Watcher {
 public:
  HealthMonitor(const Engine& engine, int32_t max_waiting_requests, rpc::HealthBoard& board);

  Duration Tick(TimePoint now) override;

 private:
  const Engine& engine_;
  const int32_t max_waiting_requests_;
  rpc::HealthBoard& board_;
  uint64_t last_heartbeats_ = 0;
  std::optional<TimePoint> last_beat_;
  std::optional<TimePoint> full_since_;
};

}  // namespace banyan::worker
