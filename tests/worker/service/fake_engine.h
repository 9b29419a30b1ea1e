// An Engine that does what a test tells it to: it keeps submitted requests, and the test delivers
// tokens, ends requests and appends cache events. Thread-safe like the real one.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "worker/engine/engine.h"

namespace banyan::worker {

class FakeEngine final : public Engine {
 public:
  struct Submitted {
    Request request;
    std::shared_ptr<RequestSink> sink;
  };

  // --- what a test does ---

  void SetStats(const EngineStats& stats) {
    const std::lock_guard lock(mutex_);
    stats_ = stats;
  }
  template <typename Change>
  void ChangeStats(Change change) {
    const std::lock_guard lock(mutex_);
    change(stats_);
  }
  void RefuseSubmits(absl::Status status) {
    const std::lock_guard lock(mutex_);
    submit_status_ = std::move(status);
  }
  // Waits until the service has submitted a request of this id.
  Submitted WaitFor(const std::string& id) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return requests_.count(id) == 1; });
    return requests_[id];
  }
  // Waits until the service has cancelled this id.
  void WaitForCancel(const std::string& id) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      return std::find(cancelled_.begin(), cancelled_.end(), id) != cancelled_.end();
    });
  }
  std::vector<std::string> cancelled() const {
    const std::lock_guard lock(mutex_);
    return cancelled_;
  }
  std::vector<std::pair<std::string, std::vector<int32_t>>> stopped() const {
    const std::lock_guard lock(mutex_);
    return stopped_;
  }
  std::vector<TimePoint> drains() const {
    const std::lock_guard lock(mutex_);
    return drains_;
  }
  void AppendEvent(CacheEvent event) {
    const std::lock_guard lock(mutex_);
    Apply(event);
    log_.push_back(std::move(event));
  }
  // Events up to this sequence have left the ring.
  void DropEventsThrough(uint64_t sequence) {
    const std::lock_guard lock(mutex_);
    dropped_ = sequence;
  }
  // Replaces what CacheSnapshot returns.
  void SetSnapshot(std::vector<CacheEvent> snapshot) {
    const std::lock_guard lock(mutex_);
    snapshot_ = std::move(snapshot);
  }

  // --- Engine ---

  absl::Status Submit(Request request, std::shared_ptr<RequestSink> sink) override {
    const std::lock_guard lock(mutex_);
    if (!submit_status_.ok()) return submit_status_;
    const std::string id = request.id;
    requests_[id] = {std::move(request), std::move(sink)};
    changed_.notify_all();
    return absl::OkStatus();
  }
  void Cancel(std::string_view request_id) override {
    const std::lock_guard lock(mutex_);
    cancelled_.emplace_back(request_id);
    changed_.notify_all();
  }
  void StopSamples(std::string_view request_id, std::span<const int32_t> indices) override {
    const std::lock_guard lock(mutex_);
    stopped_.emplace_back(request_id, std::vector<int32_t>(indices.begin(), indices.end()));
  }
  void Drain(TimePoint deadline) override {
    const std::lock_guard lock(mutex_);
    drains_.push_back(deadline);
    stats_.state = EngineState::kDraining;
  }
  void Undrain() override {
    const std::lock_guard lock(mutex_);
    stats_.state = EngineState::kServing;
  }
  absl::StatusOr<bool> Step() override { return false; }
  void WaitForWork(Duration) override {}
  EngineStats Stats() const override {
    const std::lock_guard lock(mutex_);
    return stats_;
  }
  void SetStepObserver(StepObserver) override {}

  uint64_t CacheSequence() const override {
    const std::lock_guard lock(mutex_);
    return log_.size();
  }
  bool ReadCacheEvents(uint64_t next_sequence, size_t bytes_max,
                       std::vector<CacheEvent>& events) const override {
    const std::lock_guard lock(mutex_);
    if (next_sequence <= dropped_) return false;
    size_t bytes = 0;
    for (uint64_t i = next_sequence; i <= log_.size() && bytes < bytes_max; ++i) {
      events.push_back(log_[i - 1]);
      bytes += 16 * log_[i - 1].hashes.size();
    }
    return true;
  }
  std::vector<CacheEvent> CacheSnapshot(uint64_t& sequence) const override {
    const std::lock_guard lock(mutex_);
    sequence = log_.size();
    return snapshot_;
  }
  void CacheChecksum(uint64_t& sequence, uint32_t& num_blocks, BlockHash& hash_xor) const override {
    const std::lock_guard lock(mutex_);
    sequence = log_.size();
    num_blocks = num_blocks_;
    hash_xor = hash_xor_;
  }
  void CheckInvariants() const override {}

 private:
  void Apply(const CacheEvent& event) {
    for (const BlockHash& hash : event.hashes) hash_xor_ = hash_xor_ ^ hash;
    const auto count = static_cast<uint32_t>(event.hashes.size());
    if (event.kind == CacheEvent::Kind::kStored) num_blocks_ += count;
    if (event.kind == CacheEvent::Kind::kRemoved) num_blocks_ -= count;
    if (event.kind == CacheEvent::Kind::kCleared) {
      num_blocks_ = 0;
      hash_xor_ = {};
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  EngineStats stats_;
  absl::Status submit_status_;
  std::map<std::string, Submitted> requests_;
  std::vector<std::string> cancelled_;
  std::vector<std::pair<std::string, std::vector<int32_t>>> stopped_;
  std::vector<TimePoint> drains_;
  std::vector<CacheEvent> log_;
  std::vector<CacheEvent> snapshot_;
  uint64_t dropped_ = 0;
  uint32_t num_blocks_ = 0;
  BlockHash hash_xor_;
};

}  // namespace banyan::worker
