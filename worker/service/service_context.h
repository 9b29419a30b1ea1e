// What all calls of one worker share, on any thread: what it refers to is constant or thread-safe,
// and its counters are atomic. Owned by WorkerService, outlives every call.
#pragma once

#include <atomic>
#include <cstdint>

#include "common/base/clock.h"
#include "worker/engine/engine.h"
#include "worker/service/dispatch_ledger.h"
#include "worker/service/model_card.h"
#include "worker/service/request_conversion.h"
#include "worker/service/watcher_hub.h"
#include "worker/service/worker_identity.h"
#include "worker/service/worker_metrics.h"

namespace banyan::worker {

inline constexpr int kLoadWatchersMax = 256;
inline constexpr int kCacheWatchersMax = 256;

struct ServiceContext {
  Engine& engine;
  const WorkerIdentity& identity;
  const ModelCard& card;
  const ConversionLimits& limits;
  WorkerMetrics& metrics;
  WatcherHub& hub;
  const Clock& clock;

  DispatchLedger dispatches{};
  std::atomic<int> load_watchers{0};
  std::atomic<int> cache_watchers{0};
  std::atomic<int> generate_calls{0};    // open
  std::atomic<uint32_t> handed_over{0};  // requests ended because the worker drains
};

}  // namespace banyan::worker
