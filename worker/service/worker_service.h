// banyan.v1.WorkerService over an Engine: thin handlers, one class per streaming call. Thread-safe;
// serves one grpc::Server. Everything it refers to outlives it, and the server's calls have ended
// before it dies.
#pragma once

#include "banyan/v1/worker_service.grpc.pb.h"
#include "worker/service/service_context.h"

namespace banyan::worker {

class WorkerService final : public v1::WorkerService::CallbackService {
 public:
  struct Parts {
    Engine& engine;
    const WorkerIdentity& identity;
    const ModelCard& card;
    const ConversionLimits& limits;
    WorkerMetrics& metrics;
    WatcherHub& hub;
    const Clock& clock;
  };
  explicit WorkerService(const Parts& parts);

  // Blocks until every GenerateTokens call has been answered to its end, or `timeout` has passed.
  void WaitForCalls(Duration timeout) const;

  grpc::ServerWriteReactor<v1::GenerateTokensResponse>* GenerateTokens(
      grpc::CallbackServerContext* context, const v1::GenerateTokensRequest* request) override;
  grpc::ServerUnaryReactor* StopSamples(grpc::CallbackServerContext* context,
                                        const v1::StopSamplesRequest* request,
                                        v1::StopSamplesResponse* response) override;
  grpc::ServerUnaryReactor* EmbedTokens(grpc::CallbackServerContext* context,
                                        const v1::EmbedTokensRequest* request,
                                        v1::EmbedTokensResponse* response) override;
  grpc::ServerUnaryReactor* GetWorkerInfo(grpc::CallbackServerContext* context,
                                          const v1::GetWorkerInfoRequest* request,
                                          v1::GetWorkerInfoResponse* response) override;
  grpc::ServerWriteReactor<v1::GetModelCardResponse>* GetModelCard(
      grpc::CallbackServerContext* context, const v1::GetModelCardRequest* request) override;
  grpc::ServerWriteReactor<v1::WatchLoadResponse>* WatchLoad(
      grpc::CallbackServerContext* context, const v1::WatchLoadRequest* request) override;
  grpc::ServerWriteReactor<v1::WatchCacheResponse>* WatchCache(
      grpc::CallbackServerContext* context, const v1::WatchCacheRequest* request) override;
  grpc::ServerWriteReactor<v1::DrainResponse>* Drain(grpc::CallbackServerContext* context,
                                                     const v1::DrainRequest* request) override;
  grpc::ServerUnaryReactor* Undrain(grpc::CallbackServerContext* context,
                                    const v1::UndrainRequest* request,
                                    v1::UndrainResponse* response) override;

 private:
  ServiceContext service_;
};

}  // namespace banyan::worker
