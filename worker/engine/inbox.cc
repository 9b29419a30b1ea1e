#include "worker/engine/inbox.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"

namespace banyan::worker {

absl::Status Inbox::Submit(Submission submission) {
  const std::lock_guard lock(mutex_);
  absl::Status status = CheckRoom(submission);
  if (!status.ok()) {
    ++num_rejected_;
    return status;
  }
  live_.emplace(submission.request.id, submission.logprobs_bytes);
  logprobs_bytes_ += submission.logprobs_bytes;
  contents_.submissions.push_back(std::move(submission));
  Wake();
  return absl::OkStatus();
}

absl::Status Inbox::CheckRoom(const Submission& submission) const {
  if (state_ == EngineState::kFailed) {
    return absl::UnavailableError("WORKER_LOST: the engine has failed");
  }
  if (state_ != EngineState::kServing) {
    return absl::UnavailableError("WORKER_DRAINING: the worker takes no new requests");
  }
  if (live_.contains(submission.request.id)) {
    return absl::AlreadyExistsError(absl::StrFormat(
        "REQUEST_ID_IN_USE: request_id: \"%s\" is running", submission.request.id.substr(0, 64)));
  }
  const int32_t waiting = num_waiting_ + static_cast<int32_t>(contents_.submissions.size());
  if (waiting >= max_waiting_requests_) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("QUEUE_FULL: %d requests wait, limit %d", waiting, max_waiting_requests_));
  }
  if (submission.logprobs_bytes > logprobs_bytes_max_ - logprobs_bytes_) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "QUEUE_FULL: num_prompt_logprobs: the table takes %d bytes, %d of %d are free",
        submission.logprobs_bytes, logprobs_bytes_max_ - logprobs_bytes_, logprobs_bytes_max_));
  }
  return absl::OkStatus();
}

void Inbox::Cancel(std::string_view request_id) {
  const std::lock_guard lock(mutex_);
  const std::string id(request_id);
  if (!live_.contains(id)) return;
  contents_.cancels.insert(id);
  Wake();
}

void Inbox::StopSamples(std::string_view request_id, std::span<const int32_t> indices) {
  const std::lock_guard lock(mutex_);
  const std::string id(request_id);
  if (!live_.contains(id)) return;
  // Indices that no request can have are dropped here: what is kept is bounded.
  constexpr int32_t kIndexMax = 1024;
  for (const int32_t index : indices) {
    if (index >= 0 && index < kIndexMax) contents_.stops[id].insert(index);
  }
  Wake();
}

void Inbox::Drain(TimePoint deadline) {
  const std::lock_guard lock(mutex_);
  if (state_ == EngineState::kFailed) return;
  if (state_ == EngineState::kServing) state_ = EngineState::kDraining;
  contents_.drain_deadline = std::min(deadline, contents_.drain_deadline.value_or(deadline));
  Wake();
}

void Inbox::Undrain() {
  const std::lock_guard lock(mutex_);
  if (state_ == EngineState::kFailed) return;
  state_ = EngineState::kServing;
  contents_.drain_deadline.reset();
  Wake();
}

EngineState Inbox::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

uint64_t Inbox::num_rejected() const {
  const std::lock_guard lock(mutex_);
  return num_rejected_;
}

InboxContents Inbox::Take() {
  const std::lock_guard lock(mutex_);
  has_news_ = false;
  num_waiting_ += static_cast<int32_t>(contents_.submissions.size());
  const std::optional<TimePoint> drain_deadline = contents_.drain_deadline;
  InboxContents taken = std::exchange(contents_, {});
  contents_.drain_deadline = drain_deadline;  // holds until Undrain
  return taken;
}

void Inbox::Release(std::span<const std::string> request_ids) {
  const std::lock_guard lock(mutex_);
  for (const std::string& id : request_ids) {
    const auto found = live_.find(id);
    logprobs_bytes_ -= found->second;
    live_.erase(found);
    contents_.cancels.erase(id);
    contents_.stops.erase(id);
  }
}

void Inbox::Report(int32_t num_waiting, Occupancy occupancy) {
  const std::lock_guard lock(mutex_);
  num_waiting_ = num_waiting;
  if (state_ == EngineState::kDraining && occupancy == Occupancy::kEmpty &&
      contents_.submissions.empty()) {
    state_ = EngineState::kDrained;
  }
}

void Inbox::Fail() {
  const std::lock_guard lock(mutex_);
  state_ = EngineState::kFailed;
}

void Inbox::Wait(Duration timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [this] { return has_news_; });
}

void Inbox::Wake() {
  has_news_ = true;
  changed_.notify_one();
}

}  // namespace banyan::worker
