// WatchLoad: load reports of one router. A report follows each step, at least the asked interval
// apart, every 100 ms when idle, and at once when the worker's state changes.
#pragma once

#include <cstdint>
#include <optional>

#include "banyan/v1/worker_service.pb.h"
#include "worker/service/service_context.h"
#include "worker/service/watch_stream.h"

namespace banyan::worker {

inline constexpr uint32_t kLoadIntervalDefaultMs = 20;
inline constexpr uint32_t kLoadIntervalMinMs = 10;
inline constexpr uint32_t kLoadIntervalMaxMs = 10'000;

v1::WorkerState ToWire(EngineState state);

class LoadWatch final : public WatchStream<v1::WatchLoadResponse> {
 public:
  LoadWatch(ServiceContext& service, const v1::WatchLoadRequest& request);
  ~LoadWatch() override;

 protected:
  WatchStep Next(TimePoint now, v1::WatchLoadResponse& message) override;

 private:
  void Fill(const EngineStats& stats, TimePoint now, v1::WatchLoadResponse& message) const;

  ServiceContext& service_;
  const uint64_t router_id_;
  const Duration interval_;
  uint64_t sequence_ = 0;
  std::optional<TimePoint> last_report_;
  uint64_t last_steps_ = 0;
  EngineState last_state_ = EngineState::kServing;
};

}  // namespace banyan::worker
