// The engine over scheduler and radix cache. Threads and contracts: engine.h.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "worker/cache/cache_event_log.h"
#include "worker/cache/radix_cache.h"
#include "worker/engine/engine.h"
#include "worker/engine/inbox.h"
#include "worker/engine/step_meter.h"
#include "worker/scheduler/scheduler.h"

namespace banyan::worker {

class PagedEngine final : public Engine {
 public:
  // Options are valid.
  PagedEngine(const EngineOptions& options, StepExecutor& executor, const Clock& clock);

  absl::Status Submit(Request request, std::shared_ptr<RequestSink> sink) override;
  void Cancel(std::string_view request_id) override;
  void StopSamples(std::string_view request_id, std::span<const int32_t> indices) override;
  void Drain(TimePoint deadline) override;
  void Undrain() override;
  absl::StatusOr<bool> Step() override;
  void WaitForWork(Duration timeout) override;
  EngineStats Stats() const override;
  void SetStepObserver(StepObserver observer) override;
  uint64_t CacheSequence() const override;
  bool ReadCacheEvents(uint64_t next_sequence, size_t bytes_max,
                       std::vector<CacheEvent>& events) const override;
  std::vector<CacheEvent> CacheSnapshot(uint64_t& sequence) const override;
  void CacheChecksum(uint64_t& sequence, uint32_t& num_blocks, BlockHash& hash_xor) const override;
  void CheckInvariants() const override;

  // KV slots held and unused, for measurements. Engine thread.
  Scheduler::SlotUse KvSlots() const { return scheduler_.KvSlots(); }

 private:
  absl::Status Validate(const Request& request) const;
  absl::Status ValidateResume(const Request& request) const;
  void TakeInbox(TimePoint now);
  void Measure(TimePoint begin, TimePoint end);
  void Publish();
  EngineStats Snapshot(TimePoint now);
  absl::Status Fail(const absl::Status& fault);

  const EngineOptions options_;
  StepExecutor& executor_;
  const Clock& clock_;
  CacheEventLog log_;
  Inbox inbox_;

  // Engine thread only.
  RadixCache cache_;
  Scheduler scheduler_;
  StepResult result_;
  StepMeter meter_;
  StepObserver observer_;
  absl::Status fault_;
  bool computed_ = false;  // in the last turn
  EngineStats turn_;       // heartbeats, steps, last_step_end; the rest is filled by Snapshot
  uint64_t blocks_freed_seen_ = 0;
  uint64_t requests_ended_seen_ = 0;

  mutable std::mutex stats_mutex_;
  EngineStats stats_;
};

}  // namespace banyan::worker
