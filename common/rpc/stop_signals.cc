#include "common/rpc/stop_signals.h"

#include <cstdlib>
#include <utility>

#include "common/rpc/exit_code.h"

namespace banyan::rpc {

void StopSignals::Attach(RequestStop request_stop) {
  const std::lock_guard lock(mutex_);
  request_stop_ = std::move(request_stop);
}

void StopSignals::Detach() { Attach(nullptr); }

void StopSignals::OnSignal(int count) {
  const std::lock_guard lock(mutex_);
  if (request_stop_ == nullptr || count > 2) {
    std::_Exit(static_cast<int>(ExitCode::kInterrupted));
  }
  request_stop_(count == 1 ? StopUrgency::kFinish : StopUrgency::kNow);
}

}  // namespace banyan::rpc
