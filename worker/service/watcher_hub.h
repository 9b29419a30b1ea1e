// One thread that serves all open watch streams: it wakes after each engine step, on a change of
// state, and every 100 ms, and ticks every watcher. Watchers look at the engine themselves, so the
// engine knows nothing of them and never waits.
//
// Thread-safe. A watcher is never ticked by two threads at once, nor after Remove has returned.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "common/base/clock.h"

namespace banyan::worker {

class Watcher {
 public:
  virtual ~Watcher() = default;
  // Sends what is due at `now` and says how soon it wants the next tick. Must not block, and must
  // not call the hub.
  virtual Duration Tick(TimePoint now) = 0;
};

inline constexpr Duration kHubIdlePeriod = std::chrono::milliseconds(100);

class WatcherHub {
 public:
  // kThread: a thread of its own ticks. kManual: TickAll() does, for tests with a fake clock.
  enum class Mode { kThread, kManual };

  explicit WatcherHub(const Clock& clock, Mode mode = Mode::kThread);
  WatcherHub(const WatcherHub&) = delete;
  WatcherHub& operator=(const WatcherHub&) = delete;
  // Every watcher must have left.
  ~WatcherHub();

  // Ticks the watcher for the first time before it returns.
  void Add(Watcher* watcher);
  void Remove(Watcher* watcher);

  // Every stream ends at its next tick: the process goes. Call TickAll (or let the thread) after.
  void Close();
  bool closed() const { return closed_; }

  // Something happened (a step, a change of state): tick soon. Cheap; any thread.
  void Wake();
  // One round over all watchers; the time until the next is due, at most kHubIdlePeriod.
  Duration TickAll();

 private:
  void Run();

  const Clock& clock_;
  std::mutex watchers_mutex_;
  std::set<Watcher*> watchers_;

  std::mutex wake_mutex_;
  std::condition_variable wake_;
  std::atomic<bool> closed_{false};
  bool woken_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace banyan::worker
