// The worker's side of one attempt of a generation request: reads when it is told to, stops
// samples, cancels. Lives until gRPC is done with it and nobody holds it.
//
// No lock of its own: its public calls are made, and what it reads is handed over, under the mutex
// of its GenerateProxy.
#pragma once

#include <memory>
#include <vector>

#include "banyan/v1/worker_service.grpc.pb.h"
#include "grpcpp/client_context.h"
#include "router/model_pool.h"
#include "router/work_pool.h"

namespace banyan::router {

class GenerateProxy;

class WorkerCall final : public grpc::ClientReadReactor<v1::GenerateTokensResponse>,
                         public std::enable_shared_from_this<WorkerCall> {
 public:
  struct Options {
    std::chrono::system_clock::time_point deadline;
    std::string traceparent;  // empty: none
  };

  WorkerCall(std::shared_ptr<GenerateProxy> proxy, std::shared_ptr<const WorkerEndpoint> endpoint,
             v1::GenerateTokensRequest request, const Options& options, PendingOperations& pending);

  void Start();
  // Goes on after the proxy answered a message with "not now". Not while a read is outstanding.
  void ReadOn() { StartRead(&message_); }
  void Cancel() { context_.TryCancel(); }
  void StopSamples(const std::vector<uint32_t>& indices);

 private:
  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  std::shared_ptr<GenerateProxy> proxy_;
  const std::shared_ptr<const WorkerEndpoint> endpoint_;
  const v1::GenerateTokensRequest request_;
  PendingOperations& pending_;
  grpc::ClientContext context_;
  v1::GenerateTokensResponse message_;
  std::shared_ptr<WorkerCall> self_;  // while gRPC may call back
};

}  // namespace banyan::router
