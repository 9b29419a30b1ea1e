// The threads that do the router's own work on text (templates, tokenization, loading a card), so
// that gRPC's threads only move bytes. Bounded queue. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace banyan::router {

class WorkPool {
 public:
  WorkPool(size_t num_threads, size_t queue_max);
  // Runs what is queued, then ends.
  ~WorkPool();

  // False, and nothing is queued, when the queue is full.
  bool Submit(std::function<void()> work);

 private:
  void Run();

  const size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

// Counts operations whose callbacks are still to come, so that their owner can wait for them.
// Thread-safe.
class PendingOperations {
 public:
  void Begin();
  void End();
  // Returns when every operation has ended.
  void Wait();

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  size_t num_pending_ = 0;
};

}  // namespace banyan::router
