#include "router/retry_budget.h"

#include <algorithm>
#include <cmath>

namespace banyan::router {
namespace {

constexpr double kWindowSeconds = 10;
constexpr double kRetriesPerRequest = 0.1;
constexpr double kRetriesPerSecond = 3;

}  // namespace

void RetryBudget::OnRequest() {
  const std::lock_guard lock(mutex_);
  Refill();
  earned_ += kRetriesPerRequest;
}

bool RetryBudget::Take() {
  const std::lock_guard lock(mutex_);
  Refill();
  double& from = steady_ >= 1 ? steady_ : earned_;
  if (from < 1) return false;
  from -= 1;
  return true;
}

double RetryBudget::Remaining() {
  const std::lock_guard lock(mutex_);
  Refill();
  return std::min(1.0, (earned_ + steady_) / (kRetriesPerSecond * kWindowSeconds));
}

void RetryBudget::Refill() {
  const TimePoint now = clock_.Now();
  const double seconds = ToSeconds(now - filled_at_);
  filled_at_ = now;
  earned_ *= std::exp(-seconds / kWindowSeconds);
  steady_ = std::min(steady_ + seconds * kRetriesPerSecond, kRetriesPerSecond * kWindowSeconds);
}

}  // namespace banyan::router
