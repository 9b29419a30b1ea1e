// What SIGTERM and SIGINT do to a server: the first one asks it to finish what it has, the second
// to stop now, the third ends the process. Before Attach and after Detach the first one ends it.
// Ending is _Exit with ExitCode::kInterrupted.
//
// Thread-safe: OnSignal runs on the thread of a SignalWatcher.
//
//   StopSignals stop;
//   const SignalWatcher watcher([&](int, int count) { stop.OnSignal(count); });
//   ... start ...
//   stop.Attach([&](StopUrgency urgency) { process->RequestStop(...); });
#pragma once

#include <functional>
#include <mutex>

namespace banyan::rpc {

enum class StopUrgency {
  kFinish,  // running requests may end in their time
  kNow,
};

class StopSignals {
 public:
  using RequestStop = std::function<void(StopUrgency)>;

  void Attach(RequestStop request_stop);
  // After its return the callback is not running and will not run.
  void Detach();
  // The count-th signal, from 1.
  void OnSignal(int count);

 private:
  std::mutex mutex_;
  RequestStop request_stop_;
};

}  // namespace banyan::rpc
