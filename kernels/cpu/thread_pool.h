// The CPU backend's threads. One thread owns the pool and calls it; it takes part in the work as
// thread 0. The others are pinned to one core each, spin for a moment after a call (a step is a
// burst of many short calls), then sleep on a futex: an idle pool uses no processor time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace banyan::kernels::cpu {

// How many threads this process should run: physical cores in its affinity mask, at most the
// cgroup's cpu.max, at least one.
int UsableCores();

class ThreadPool {
 public:
  // Starts num_threads - 1 threads; num_threads >= 1. They are pinned when the affinity mask has at
  // least num_threads cores.
  explicit ThreadPool(int num_threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  int num_threads() const { return num_threads_; }

  // Covers [0, count), count < 2^31, with calls work(thread, begin, end) of at most `grain` items.
  // Every thread starts on its own contiguous range and then steals from the tails of the others.
  // A thread that has not come when the items run out is not waited for: where other processes hold
  // its core, the caller does the work alone. What the caller wrote before is visible to `work`,
  // what `work` wrote is visible to the caller after. count <= grain runs on the caller.
  void ParallelFor(int64_t count, int64_t grain,
                   absl::FunctionRef<void(int thread, int64_t begin, int64_t end)> work);

 private:
  using Work = absl::FunctionRef<void(int thread)>;

  // One cache line a thread.
  struct alignas(64) ThreadState {
    // Of job e: 2 (e - 1) while the thread may join it, 2 e + 1 while it works, 2 e when it is done
    // or too late.
    std::atomic<uint32_t> seat{0};
    // Items left of the thread's own range: begin in the low half, end in the high half.
    std::atomic<uint64_t> range{0};
  };

  void ThreadMain(int thread);
  // Calls work(0), and work(thread) on those threads that come before it returns.
  void Run(Work work);
  void RunRanges(int thread, int64_t grain,
                 absl::FunctionRef<void(int thread, int64_t begin, int64_t end)> work);

  const int num_threads_;
  alignas(64) std::atomic<uint32_t> epoch_{0};  // the last job's number
  const Work* work_ = nullptr;                  // written before epoch_ moves, read in a taken seat
  std::atomic<bool> stopping_{false};
  std::unique_ptr<ThreadState[]> states_;
  std::vector<std::thread> threads_;
};

}  // namespace banyan::kernels::cpu
