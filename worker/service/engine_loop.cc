#include "worker/service/engine_loop.h"

#include <utility>

namespace banyan::worker {

EngineLoop::EngineLoop(Engine& engine, Callbacks callbacks)
    : engine_(engine), callbacks_(std::move(callbacks)), thread_([this] { Run(); }) {}

EngineLoop::~EngineLoop() {
  stopping_ = true;
  thread_.join();
}

void EngineLoop::Run() {
  while (!stopping_) {
    const absl::StatusOr<bool> computed = engine_.Step();
    callbacks_.after_turn();
    if (!computed.ok()) return callbacks_.on_failure(computed.status());
    if (!*computed) engine_.WaitForWork(kIdleTurnPeriod);
  }
}

}  // namespace banyan::worker
