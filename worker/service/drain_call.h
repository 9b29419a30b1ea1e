// Drain: stops admission and reports progress, on change and every second, until the worker is
// empty. Ending the call does not take the drain back.
#pragma once

#include <cstdint>
#include <optional>

#include "banyan/v1/worker_service.pb.h"
#include "worker/service/service_context.h"
#include "worker/service/watch_stream.h"

namespace banyan::worker {

inline constexpr uint32_t kDrainDeadlineDefaultMs = 30'000;
inline constexpr uint32_t kDrainDeadlineMaxMs = 86'400'000;
inline constexpr Duration kDrainReportPeriod = std::chrono::seconds(1);

class DrainCall final : public WatchStream<v1::DrainResponse> {
 public:
  // The engine has been told already.
  explicit DrainCall(ServiceContext& service);

 protected:
  WatchStep Next(TimePoint now, v1::DrainResponse& message) override;

 private:
  ServiceContext& service_;
  const uint32_t handed_over_before_;
  std::optional<TimePoint> last_report_;
  int32_t last_running_ = -1;
  int32_t last_waiting_ = -1;
};

}  // namespace banyan::worker
