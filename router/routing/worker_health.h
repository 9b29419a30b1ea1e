// Whether the router sends requests to a worker, from its connection, its load reports and how its
// streams end. A port that answers proves nothing: an engine that hangs is seen by heartbeats that
// stand still.
//
//   connecting -> slow start -> healthy -> stale -> ejected -> (probe) -> slow start
//   draining, while the worker or an operator says so
//
// Not thread-safe; RoutingPool guards it. All times come from the caller.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/clock.h"
#include "router/routing/worker_load.h"

namespace banyan::router {

// Mirrors WorkerHealth of the wire.
enum class WorkerHealth { kConnecting, kHealthy, kSlowStart, kStale, kEjected, kDraining };
inline constexpr int kNumWorkerHealths = 6;
std::string_view NameOf(WorkerHealth health);

class WorkerHealthTracker {
 public:
  struct Limits {
    Duration report_age_max = std::chrono::seconds(1);
    Duration heartbeat_stands_max = std::chrono::seconds(1);
    int heartbeat_stands_reports = 3;
    int errors_in_a_row_max = 3;
    Duration stale_max = std::chrono::seconds(3);  // longer: ejected
    Duration probe_delay_min = std::chrono::seconds(1);
    Duration probe_delay_max = std::chrono::seconds(60);
    Duration slow_start = std::chrono::seconds(30);
  };

  explicit WorkerHealthTracker(const Limits& limits) : limits_(limits) {}

  // Identity and card were accepted.
  void OnConnected(TimePoint now);
  void OnConnectionLost(TimePoint now);
  void OnReport(const LoadReport& report, TimePoint now);
  // A stream ended well, or by a fault that is the worker's.
  void OnStreamOk() { errors_in_a_row_ = 0; }
  void OnStreamError() { ++errors_in_a_row_; }
  // An operator drains it, or takes that back.
  void SetDraining(bool draining) { draining_ = draining; }

  // Moves the state on; call it at least every 100 ms and before the answer matters.
  void Update(TimePoint now);
  WorkerHealth health() const { return health_; }
  // In words; empty when healthy.
  std::string_view reason() const { return reason_; }
  bool connected() const { return connected_; }

  // An ejected worker comes back by a one-token request through its engine. True when one is due;
  // it must then be sent, and its end told by OnProbe.
  bool TakeProbe(TimePoint now);
  void OnProbe(bool ok, TimePoint now);

  // 4 falling to 1 over the slow start; multiplies the routing cost.
  double SlowStartFactor(TimePoint now) const;

 private:
  std::string_view SuspectReason(TimePoint now) const;
  void Become(WorkerHealth health, std::string_view reason) {
    health_ = health;
    reason_ = reason;
  }

  const Limits limits_;
  WorkerHealth health_ = WorkerHealth::kConnecting;
  std::string_view reason_ = "not connected yet";
  bool connected_ = false;
  bool ever_connected_ = false;
  bool draining_ = false;
  bool reported_ = false;
  TimePoint in_rotation_since_;
  bool in_rotation_ = false;
  TimePoint reported_at_;
  ReportedState state_ = ReportedState::kUnknown;
  uint64_t heartbeats_ = 0;
  TimePoint heartbeats_moved_at_;
  int reports_since_move_ = 0;
  int errors_in_a_row_ = 0;
  bool suspect_ = false;
  TimePoint suspect_since_;
  bool ejected_ = false;  // and a probe is needed
  bool probing_ = false;
  int num_failed_probes_ = 0;
  TimePoint next_probe_;
};

}  // namespace banyan::router
