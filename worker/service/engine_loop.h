// The engine thread: turns the engine until it is stopped or the engine fails.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "absl/status/status.h"
#include "worker/engine/engine.h"

namespace banyan::worker {

// An idle turn comes at least this often, so that the heartbeat moves.
inline constexpr Duration kIdleTurnPeriod = std::chrono::milliseconds(100);

class EngineLoop {
 public:
  // Both are called on the engine thread: `after_turn` after every turn, `on_failure` once, after
  // which the thread has nothing more to do.
  struct Callbacks {
    std::function<void()> after_turn;
    std::function<void(const absl::Status&)> on_failure;
  };

  // Begins at once. The engine outlives the loop.
  EngineLoop(Engine& engine, Callbacks callbacks);
  EngineLoop(const EngineLoop&) = delete;
  EngineLoop& operator=(const EngineLoop&) = delete;
  // Ends after the turn that runs. Requests that the engine still holds hear nothing more.
  ~EngineLoop();

 private:
  void Run();

  Engine& engine_;
  const Callbacks callbacks_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace banyan::worker
