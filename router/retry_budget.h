// Keeps retries from multiplying an overload: over 10 s at most a tenth of the requests, plus three
// a second. Thread-safe.
#pragma once

#include <mutex>

#include "common/base/clock.h"

namespace banyan::router {

class RetryBudget {
 public:
  explicit RetryBudget(const Clock& clock) : clock_(clock), filled_at_(clock.Now()) {}

  // A request arrived: it earns a tenth of a retry.
  void OnRequest();
  // Takes one retry. False when there is none left.
  bool Take();
  // Part of a full budget that is left, 0 to 1.
  double Remaining();

 private:
  void Refill();

  const Clock& clock_;
  std::mutex mutex_;
  TimePoint filled_at_;
  double earned_ = 0;   // from requests, fading over 10 s
  double steady_ = 30;  // from time, at most 10 s worth
};

}  // namespace banyan::router
