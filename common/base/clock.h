// Time as the rest of the system sees it: a monotonic clock that tests can replace.
// Both clocks are thread-safe.
#pragma once

#include <atomic>
#include <chrono>

namespace banyan {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

class Clock {
 public:
  virtual ~Clock() = default;
  // Never falls.
  virtual TimePoint Now() const = 0;

  // The process-wide monotonic clock.
  static const Clock& Real();
};

// A clock that stands still until a test moves it.
class FakeClock final : public Clock {
 public:
  TimePoint Now() const override { return TimePoint(Duration(now_ns_.load())); }
  void Advance(Duration by) { now_ns_.fetch_add(by.count()); }

 private:
  // Starts at one hour, so that a test may subtract.
  std::atomic<int64_t> now_ns_{3'600'000'000'000};
};

inline double ToSeconds(Duration d) { return std::chrono::duration<double>(d).count(); }
inline int64_t ToMicroseconds(Duration d) {
  return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
}

}  // namespace banyan
