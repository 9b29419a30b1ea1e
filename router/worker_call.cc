#include "router/worker_call.h"

#include <utility>

#include "common/rpc/errors.h"
#include "router/generate_proxy.h"

namespace banyan::router {
namespace {

constexpr auto kStopTimeout = std::chrono::seconds(5);

}  // namespace

WorkerCall::WorkerCall(std::shared_ptr<GenerateProxy> proxy,
                       std::shared_ptr<const WorkerEndpoint> endpoint,
                       v1::GenerateTokensRequest request, const Options& options,
                       PendingOperations& pending)
    : proxy_(std::move(proxy)),
      endpoint_(std::move(endpoint)),
      request_(std::move(request)),
      pending_(pending) {
  context_.set_deadline(options.deadline);
  if (!options.traceparent.empty()) context_.AddMetadata("traceparent", options.traceparent);
}

void WorkerCall::Start() {
  pending_.Begin();
  self_ = shared_from_this();
  endpoint_->stub->async()->GenerateTokens(&context_, &request_, this);
  // Reads may be started later, from the client's side: the hold keeps the call open for them.
  AddHold();
  StartRead(&message_);
  StartCall();
}

void WorkerCall::OnReadDone(bool ok) {
  if (!ok) return RemoveHold();
  const std::lock_guard lock(proxy_->mutex_);
  if (proxy_->OnWorkerMessage(*this, message_)) StartRead(&message_);
}

void WorkerCall::OnDone(const grpc::Status& status) {
  const std::shared_ptr<WorkerCall> self = std::move(self_);
  {
    const std::shared_ptr<GenerateProxy> proxy = std::move(proxy_);
    const std::lock_guard lock(proxy->mutex_);
    proxy->OnWorkerEnd(*this, rpc::FromGrpcStatus(status));
  }
  pending_.End();
}

void WorkerCall::StopSamples(const std::vector<uint32_t>& indices) {
  struct Call {
    grpc::ClientContext context;
    v1::StopSamplesRequest request;
    v1::StopSamplesResponse response;
  };
  auto call = std::make_shared<Call>();
  call->context.set_deadline(std::chrono::system_clock::now() + kStopTimeout);
  call->request.set_request_id(request_.request_id());
  for (const uint32_t index : indices) call->request.add_indices(index);
  pending_.Begin();
  endpoint_->stub->async()->StopSamples(
      &call->context, &call->request, &call->response,
      [self = shared_from_this(), call](const grpc::Status& status) {
        // A sample that cannot be stopped would run to its limit: end the whole call instead.
        if (!status.ok()) self->Cancel();
        self->pending_.End();
      });
}

}  // namespace banyan::router
