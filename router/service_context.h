// What the services of a router share. Everything in it is thread-safe and outlives them.
#pragma once

#include <string>

#include "common/base/clock.h"
#include "router/active_requests.h"
#include "router/retry_budget.h"
#include "router/router_metrics.h"
#include "router/work_pool.h"
#include "router/worker_registry.h"

namespace banyan::router {

struct ServiceContext {
  const Clock& clock;
  WorkerRegistry& registry;
  WorkPool& work_pool;
  RouterMetrics& metrics;
  RetryBudget& retry_budget;
  ActiveRequests& active;
  std::string cluster_secret;  // empty: none
};

}  // namespace banyan::router
