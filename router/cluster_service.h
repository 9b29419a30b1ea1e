// The admin API over gRPC: sees and steers the cluster through this router. Thread-safe.
#pragma once

#include <atomic>
#include <functional>

#include "banyan/v1/cluster_service.grpc.pb.h"
#include "router/service_context.h"

namespace banyan::router {

class ClusterService final : public v1::ClusterService::CallbackService {
 public:
  // `begin_drain` makes the router refuse new requests; `context` outlives the service.
  ClusterService(const ServiceContext& context, std::function<void()> begin_drain)
      : context_(context), begin_drain_(std::move(begin_drain)) {}

  grpc::ServerUnaryReactor* ListWorkers(grpc::CallbackServerContext* context,
                                        const v1::ListWorkersRequest* request,
                                        v1::ListWorkersResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchWorkersResponse>* WatchWorkers(
      grpc::CallbackServerContext* context, const v1::WatchWorkersRequest* request) override;
  grpc::ServerUnaryReactor* AddWorker(grpc::CallbackServerContext* context,
                                      const v1::AddWorkerRequest* request,
                                      v1::AddWorkerResponse* response) override;
  grpc::ServerWriteReactor<v1::DrainWorkerResponse>* DrainWorker(
      grpc::CallbackServerContext* context, const v1::DrainWorkerRequest* request) override;
  grpc::ServerUnaryReactor* RemoveWorker(grpc::CallbackServerContext* context,
                                         const v1::RemoveWorkerRequest* request,
                                         v1::RemoveWorkerResponse* response) override;
  grpc::ServerWriteReactor<v1::DrainRouterResponse>* DrainRouter(
      grpc::CallbackServerContext* context, const v1::DrainRouterRequest* request) override;
  grpc::ServerUnaryReactor* ExplainRoute(grpc::CallbackServerContext* context,
                                         const v1::ExplainRouteRequest* request,
                                         v1::ExplainRouteResponse* response) override;
  grpc::ServerUnaryReactor* ListHotPrefixes(grpc::CallbackServerContext* context,
                                            const v1::ListHotPrefixesRequest* request,
                                            v1::ListHotPrefixesResponse* response) override;
  grpc::ServerUnaryReactor* ListModelRoutes(grpc::CallbackServerContext* context,
                                            const v1::ListModelRoutesRequest* request,
                                            v1::ListModelRoutesResponse* response) override;
  grpc::ServerUnaryReactor* SetModelRoute(grpc::CallbackServerContext* context,
                                          const v1::SetModelRouteRequest* request,
                                          v1::SetModelRouteResponse* response) override;

 private:
  const ServiceContext& context_;
  const std::function<void()> begin_drain_;
};

}  // namespace banyan::router
