#include "router/work_pool.h"

#include <utility>

namespace banyan::router {

WorkPool::WorkPool(size_t num_threads, size_t queue_max) : queue_max_(queue_max) {
  for (size_t i = 0; i < num_threads; ++i) threads_.emplace_back([this] { Run(); });
}

WorkPool::~WorkPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool WorkPool::Submit(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= queue_max_) return false;
    queue_.push_back(std::move(work));
  }
  wake_.notify_one();
  return true;
}

void WorkPool::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
  }
}

void PendingOperations::Begin() {
  const std::lock_guard lock(mutex_);
  ++num_pending_;
}

void PendingOperations::End() {
  const std::lock_guard lock(mutex_);
  if (--num_pending_ == 0) none_.notify_all();
}

void PendingOperations::Wait() {
  std::unique_lock lock(mutex_);
  none_.wait(lock, [this] { return num_pending_ == 0; });
}

}  // namespace banyan::router
