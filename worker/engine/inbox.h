// Where other threads leave their wishes for the engine thread. Thread-safe: one mutex, held for
// moves of pointers only.
//
// Bounds: requests here and waiting in the scheduler together stay within max_waiting_requests;
// cancels and stops are kept per live request; prompt log-probability tables of all live requests
// stay within their byte budget.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "worker/engine/engine.h"
#include "worker/request/request.h"
#include "worker/request/request_sink.h"

namespace banyan::worker {

struct Submission {
  Request request;
  std::shared_ptr<RequestSink> sink;
  TimePoint submitted{};
  size_t logprobs_bytes = 0;
};

// Everything that came since the last turn, in the order in which it is applied.
struct InboxContents {
  std::vector<Submission> submissions;
  std::map<std::string, std::set<int32_t>> stops;
  std::set<std::string> cancels;
  std::optional<TimePoint> drain_deadline;  // draining
};

class Inbox {
 public:
  Inbox(int32_t max_waiting_requests, size_t logprobs_bytes_max)
      : max_waiting_requests_(max_waiting_requests), logprobs_bytes_max_(logprobs_bytes_max) {}

  // --- Any thread ---
  absl::Status Submit(Submission submission);
  void Cancel(std::string_view request_id);
  void StopSamples(std::string_view request_id, std::span<const int32_t> indices);
  void Drain(TimePoint deadline);
  void Undrain();
  EngineState state() const;
  uint64_t num_rejected() const;

  // --- Engine thread ---
  InboxContents Take();
  // Requests that have ended: their ids may be used again.
  void Release(std::span<const std::string> request_ids);
  // What the scheduler holds after a turn. `empty`: nothing at all.
  enum class Occupancy { kEmpty, kBusy };
  void Report(int32_t num_waiting, Occupancy occupancy);
  // From now on every Submit is refused.
  void Fail();
  // Blocks until something is here or `timeout` has passed.
  void Wait(Duration timeout);

 private:
  absl::Status CheckRoom(const Submission& submission) const;
  void Wake();

  const int32_t max_waiting_requests_;
  const size_t logprobs_bytes_max_;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  bool has_news_ = false;
  InboxContents contents_;
  std::unordered_map<std::string, size_t> live_;  // ids and their log-probability bytes
  size_t logprobs_bytes_ = 0;
  int32_t num_waiting_ = 0;  // in the scheduler
  EngineState state_ = EngineState::kServing;
  uint64_t num_rejected_ = 0;
};

}  // namespace banyan::worker
