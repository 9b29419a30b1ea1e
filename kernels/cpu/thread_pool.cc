#include "kernels/cpu/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>

#include "common/base/check.h"

namespace banyan::kernels::cpu {
namespace {

// Longer than the pause between two ops of a step, shorter than anyone would notice as load.
constexpr std::chrono::microseconds kSpinTime{40};

void Pause() { __builtin_ia32_pause(); }

// Returns once `value` differs from `old`: spins, then sleeps.
uint32_t AwaitChange(const std::atomic<uint32_t>& value, uint32_t old) {
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    for (int i = 0; i < 64; ++i) {
      const uint32_t now = value.load(std::memory_order_acquire);
      if (now != old) return now;
      Pause();
    }
    if (std::chrono::steady_clock::now() - start > kSpinTime) break;
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

constexpr uint64_t PackRange(uint64_t begin, uint64_t end) { return end << 32 | begin; }
constexpr int64_t RangeBegin(uint64_t range) { return static_cast<int64_t>(range & 0xffffffffu); }
constexpr int64_t RangeEnd(uint64_t range) { return static_cast<int64_t>(range >> 32); }

enum class Side { kFront, kTail };

// Takes up to `grain` items off one side; false when the range is empty.
bool TakeItems(std::atomic<uint64_t>& range, int64_t grain, Side side, int64_t& begin,
               int64_t& end) {
  uint64_t current = range.load(std::memory_order_relaxed);
  for (;;) {
    const int64_t first = RangeBegin(current);
    const int64_t last = RangeEnd(current);
    if (first >= last) return false;
    const int64_t count = std::min(grain, last - first);
    begin = side == Side::kFront ? first : last - count;
    end = begin + count;
    const uint64_t rest =
        side == Side::kFront
            ? PackRange(static_cast<uint64_t>(end), static_cast<uint64_t>(last))
            : PackRange(static_cast<uint64_t>(first), static_cast<uint64_t>(begin));
    if (range.compare_exchange_weak(current, rest, std::memory_order_relaxed)) return true;
  }
}

// Pins the calling thread to the `index`th processor of its mask; leaves it free when there is none
// for every thread of the pool.
void PinToCore(int index, int num_threads) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0 || CPU_COUNT(&mask) < num_threads) return;
  int seen = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mask) || seen++ != index) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
    return;
  }
}

}  // namespace

ThreadPool::ThreadPool(int num_threads)
    : num_threads_(num_threads),
      states_(std::make_unique<ThreadState[]>(static_cast<size_t>(num_threads))) {
  BANYAN_CHECK_GE(num_threads, 1);
  threads_.reserve(static_cast<size_t>(num_threads - 1));
  for (int thread = 1; thread < num_threads; ++thread) {
    threads_.emplace_back([this, thread] { ThreadMain(thread); });
  }
}

ThreadPool::~ThreadPool() {
  stopping_.store(true, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::ThreadMain(int thread) {
  PinToCore(thread, num_threads_);
  ThreadState& state = states_[static_cast<size_t>(thread)];
  uint32_t epoch = 0;
  for (;;) {
    epoch = AwaitChange(epoch_, epoch);
    if (stopping_.load(std::memory_order_relaxed)) return;
    uint32_t free = 2 * (epoch - 1);
    if (!state.seat.compare_exchange_strong(free, 2 * epoch + 1, std::memory_order_relaxed)) {
      continue;  // the job is over
    }
    (*work_)(thread);
    state.seat.store(2 * epoch, std::memory_order_release);
    state.seat.notify_one();
  }
}

void ThreadPool::Run(Work work) {
  work_ = &work;
  const uint32_t epoch = epoch_.fetch_add(1, std::memory_order_release) + 1;
  epoch_.notify_all();
  work(0);
  for (int thread = 1; thread < num_threads_; ++thread) {
    std::atomic<uint32_t>& seat = states_[static_cast<size_t>(thread)].seat;
    uint32_t now = 2 * (epoch - 1);
    if (seat.compare_exchange_strong(now, 2 * epoch, std::memory_order_acquire)) continue;
    if (now != 2 * epoch) AwaitChange(seat, 2 * epoch + 1);
  }
}

void ThreadPool::RunRanges(int thread, int64_t grain,
                           absl::FunctionRef<void(int, int64_t, int64_t)> work) {
  int64_t begin = 0;
  int64_t end = 0;
  while (TakeItems(states_[static_cast<size_t>(thread)].range, grain, Side::kFront, begin, end)) {
    work(thread, begin, end);
  }
  for (int i = 1; i < num_threads_; ++i) {
    const auto victim = static_cast<size_t>((thread + i) % num_threads_);
    while (TakeItems(states_[victim].range, grain, Side::kTail, begin, end)) {
      work(thread, begin, end);
    }
  }
}

void ThreadPool::ParallelFor(int64_t count, int64_t grain,
                             absl::FunctionRef<void(int, int64_t, int64_t)> work) {
  if (count <= 0) return;
  if (num_threads_ == 1 || count <= grain) {
    for (int64_t begin = 0; begin < count; begin += grain) {
      work(0, begin, std::min(count, begin + grain));
    }
    return;
  }
  for (int64_t thread = 0; thread < num_threads_; ++thread) {
    const int64_t begin = count * thread / num_threads_;
    const int64_t end = count * (thread + 1) / num_threads_;
    states_[static_cast<size_t>(thread)].range.store(
        PackRange(static_cast<uint64_t>(begin), static_cast<uint64_t>(end)),
        std::memory_order_relaxed);
  }
  Run([&](int thread) { RunRanges(thread, grain, work); });
}

}  // namespace banyan::kernels::cpu
