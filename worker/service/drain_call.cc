#include "worker/service/drain_call.h"

namespace banyan::worker {

DrainCall::DrainCall(ServiceContext& service)
    : WatchStream(service.hub, service.clock),
      service_(service),
      handed_over_before_(service.handed_over.load()) {}

WatchStep DrainCall::Next(TimePoint now, v1::DrainResponse& message) {
  const EngineStats stats = service_.engine.Stats();
  if (stats.state == EngineState::kServing) {
    return {.action = WatchStep::Action::kEnd,
            .status = absl::CancelledError("the drain was taken back by Undrain")};
  }
  if (stats.state == EngineState::kFailed) {
    return {.action = WatchStep::Action::kEnd, .status = absl::InternalError("the engine failed")};
  }
  const bool done = stats.state == EngineState::kDrained;
  const bool changed =
      stats.running_sequences != last_running_ || stats.waiting_requests != last_waiting_;
  const bool due = !last_report_.has_value() || now - *last_report_ >= kDrainReportPeriod;
  if (!done && !changed && !due) return {};
  last_report_ = now;
  last_running_ = stats.running_sequences;
  last_waiting_ = stats.waiting_requests;
  message.set_running_sequences(static_cast<uint32_t>(stats.running_sequences));
  message.set_waiting_requests(static_cast<uint32_t>(stats.waiting_requests));
  message.set_handed_over_requests(service_.handed_over.load() - handed_over_before_);
  return {.action = done ? WatchStep::Action::kWriteLast : WatchStep::Action::kWrite};
}

}  // namespace banyan::worker
