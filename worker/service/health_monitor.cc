#include "worker/service/health_monitor.h"

namespace banyan::worker {
namespace {

rpc::ServingStatus When(bool serving) {
  return serving ? rpc::ServingStatus::kServing : rpc::ServingStatus::kNotServing;
}

void SetReady(rpc::HealthBoard& board, bool ready) {
  board.Set(rpc::kHealthReadiness, When(ready));
  board.Set(kHealthWorkerService, When(ready));
  board.Set(rpc::kHealthOverall, When(ready));
}

}  // namespace

void SetLoading(rpc::HealthBoard& board) {
  SetReady(board, false);
  board.Set(rpc::kHealthStartup, rpc::ServingStatus::kNotServing);
  board.Set(rpc::kHealthLiveness, rpc::ServingStatus::kServing);
}

HealthMonitor::HealthMonitor(const Engine& engine, int32_t max_waiting_requests,
                             rpc::HealthBoard& board)
    : engine_(engine), max_waiting_requests_(max_waiting_requests), board_(board) {}

Duration HealthMonitor::Tick(TimePoint now) {
  const EngineStats stats = engine_.Stats();
  if (!last_beat_.has_value() || stats.heartbeats != last_heartbeats_) {
    last_beat_ = now;
    last_heartbeats_ = stats.heartbeats;
  }
  if (stats.waiting_requests < max_waiting_requests_) {
    full_since_.reset();
  } else if (!full_since_.has_value()) {
    full_since_ = now;
  }
  const bool clogged = full_since_.has_value() && now - *full_since_ >= kQueueFullMax;
  const bool alive = stats.state != EngineState::kFailed && now - *last_beat_ < kHeartbeatAgeMax;
  SetReady(board_, alive && stats.state == EngineState::kServing && !clogged);
  board_.Set(rpc::kHealthStartup, rpc::ServingStatus::kServing);
  board_.Set(rpc::kHealthLiveness, When(alive));
  return kHubIdlePeriod;
}

}  // namespace banyan::worker
