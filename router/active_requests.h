// The client requests that are open, by id: for cancelling by name, for the bound on their number,
// for drains and for finding readers that stopped reading. Thread-safe.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"

namespace banyan::router {

// An open request, as seen from outside.
class ActiveRequest {
 public:
  virtual ~ActiveRequest() = default;
  // Ends it with `status`; nothing happens when it has ended.
  virtual void End(const absl::Status& status) = 0;
  // Ends it when its client has not taken a message for too long.
  virtual void CheckProgress(TimePoint now) = 0;
};

class ActiveRequests {
 public:
  explicit ActiveRequests(size_t requests_max) : requests_max_(requests_max) {}

  // ALREADY_EXISTS where the id runs, RESOURCE_EXHAUSTED beyond the bound, UNAVAILABLE while
  // draining.
  absl::Status Add(const std::string& id, std::weak_ptr<ActiveRequest> request);
  void Remove(const std::string& id);
  // Null when nothing of that id runs.
  std::shared_ptr<ActiveRequest> Find(const std::string& id) const;

  // No more requests are let in.
  void BeginDrain();
  bool draining() const;
  size_t size() const;
  // Waits until none is left; false at the deadline.
  bool WaitUntilEmpty(Duration timeout);

  void EndAll(const absl::Status& status);
  void CheckProgress(TimePoint now);

 private:
  std::vector<std::shared_ptr<ActiveRequest>> All() const;

  const size_t requests_max_;
  mutable std::mutex mutex_;
  std::condition_variable empty_;
  std::map<std::string, std::weak_ptr<ActiveRequest>> requests_;
  bool draining_ = false;
};

}  // namespace banyan::router
