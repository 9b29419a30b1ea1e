#include "worker/service/watcher_hub.h"

#include <algorithm>

#include "common/base/check.h"

namespace banyan::worker {

WatcherHub::WatcherHub(const Clock& clock, Mode mode) : clock_(clock) {
  if (mode == Mode::kThread) thread_ = std::thread([this] { Run(); });
}

WatcherHub::~WatcherHub() {
  {
    const std::lock_guard lock(wake_mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  BANYAN_CHECK(watchers_.empty()) << "a watch stream outlived the hub";
}

void WatcherHub::Add(Watcher* watcher) {
  {
    const std::lock_guard lock(watchers_mutex_);
    watchers_.insert(watcher);
    watcher->Tick(clock_.Now());
  }
  Wake();
}

void WatcherHub::Remove(Watcher* watcher) {
  const std::lock_guard lock(watchers_mutex_);
  watchers_.erase(watcher);
}

void WatcherHub::Close() {
  closed_ = true;
  Wake();
}

void WatcherHub::Wake() {
  {
    const std::lock_guard lock(wake_mutex_);
    if (woken_) return;
    woken_ = true;
  }
  wake_.notify_one();
}

Duration WatcherHub::TickAll() {
  Duration next = kHubIdlePeriod;
  const std::lock_guard lock(watchers_mutex_);
  const TimePoint now = clock_.Now();
  for (Watcher* watcher : watchers_) next = std::min(next, watcher->Tick(now));
  return next;
}

void WatcherHub::Run() {
  Duration wait = kHubIdlePeriod;
  while (true) {
    {
      std::unique_lock lock(wake_mutex_);
      wake_.wait_for(lock, wait, [this] { return woken_ || stopping_; });
      if (stopping_) return;
      woken_ = false;
    }
    wait = std::max(TickAll(), Duration(std::chrono::milliseconds(1)));
  }
}

}  // namespace banyan::worker
