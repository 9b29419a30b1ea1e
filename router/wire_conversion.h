// Between the wire and the core's plain data. Stateless; thread-safe.
#pragma once

#include "banyan/v1/cluster_service.pb.h"
#include "banyan/v1/inference_service.pb.h"
#include "banyan/v1/worker_service.pb.h"
#include "router/routing/cache_follower.h"
#include "router/routing/routing_pool.h"

namespace banyan::router {

LoadReport ToLoadReport(const v1::WatchLoadResponse& wire);

// The view refers to `wire`.
CacheEventView ToCacheEventView(const v1::WatchCacheResponse& wire);

v1::WorkerHealth ToWire(WorkerHealth health);
v1::RoutingReason ToWire(RoutingReason reason);
v1::RoutingDecision ToWire(const RouteDecision& decision);

// Label values of metrics.
const char* NameOf(RoutingReason reason);
// "realtime", "interactive", "batch"; UNSPECIFIED is interactive.
const char* ClassNameOf(v1::Priority priority);

}  // namespace banyan::router
