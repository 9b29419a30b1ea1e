#include "router/active_requests.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "common/rpc/errors.h"

namespace banyan::router {

using rpc::Error;
using rpc::ErrorReason;

absl::Status ActiveRequests::Add(const std::string& id, std::weak_ptr<ActiveRequest> request) {
  const std::lock_guard lock(mutex_);
  if (draining_) {
    return Error(ErrorReason::kRouterDraining, "this router is draining")
        .RetryAfter(std::chrono::seconds(1))
        .ToStatus();
  }
  if (requests_.size() >= requests_max_) {
    return Error(ErrorReason::kQueueFull,
                 absl::StrFormat("requests: limit %d open requests reached", requests_max_))
        .RetryAfter(std::chrono::seconds(1))
        .ToStatus();
  }
  if (!requests_.emplace(id, std::move(request)).second) {
    return Error(ErrorReason::kRequestIdInUse, "request_id: is running: " + id).ToStatus();
  }
  return absl::OkStatus();
}

void ActiveRequests::Remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  requests_.erase(id);
  if (requests_.empty()) empty_.notify_all();
}

std::shared_ptr<ActiveRequest> ActiveRequests::Find(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = requests_.find(id);
  return found == requests_.end() ? nullptr : found->second.lock();
}

void ActiveRequests::BeginDrain() {
  const std::lock_guard lock(mutex_);
  draining_ = true;
}

bool ActiveRequests::draining() const {
  const std::lock_guard lock(mutex_);
  return draining_;
}

size_t ActiveRequests::size() const {
  const std::lock_guard lock(mutex_);
  return requests_.size();
}

bool ActiveRequests::WaitUntilEmpty(Duration timeout) {
  std::unique_lock lock(mutex_);
  return empty_.wait_for(lock, timeout, [this] { return requests_.empty(); });
}

std::vector<std::shared_ptr<ActiveRequest>> ActiveRequests::All() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<ActiveRequest>> all;
  for (const auto& [id, request] : requests_) {
    if (auto alive = request.lock(); alive != nullptr) all.push_back(std::move(alive));
  }
  return all;
}

void ActiveRequests::EndAll(const absl::Status& status) {
  for (const auto& request : All()) request->End(status);
}

void ActiveRequests::CheckProgress(TimePoint now) {
  for (const auto& request : All()) request->CheckProgress(now);
}

}  // namespace banyan::router
