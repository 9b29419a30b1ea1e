#include "router/cluster_service.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/rpc/errors.h"
#include "common/rpc/field_checks.h"
#include "common/rpc/request_id.h"
#include "router/client_stream.h"
#include "router/periodic_stream.h"
#include "router/wire_conversion.h"

namespace banyan::router {
namespace {

using rpc::Error;
using rpc::ErrorReason;
using std::chrono::milliseconds;

constexpr uint32_t kWatchIntervalDefaultMs = 1000;
constexpr uint32_t kWatchIntervalMinMs = 100;
constexpr uint32_t kWatchIntervalMaxMs = 60'000;
constexpr uint32_t kDrainDefaultMs = 30'000;
constexpr uint32_t kDrainMaxMs = 86'400'000;
constexpr milliseconds kDrainProgress(500);

absl::Status NoWorkerOf(const std::string& worker_id) {
  return Error(ErrorReason::kWorkerNotFound, "worker_id: no worker " + rpc::QuoteValue(worker_id))
      .Resource("worker", worker_id.substr(0, 128))
      .ToStatus();
}

grpc::ServerUnaryReactor* FinishNow(grpc::CallbackServerContext* context,
                                    const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(rpc::ToGrpcStatus(status));
  return reactor;
}

// A stream that only fails.
template <typename Response>
class FailedStream final : public grpc::ServerWriteReactor<Response> {
 public:
  explicit FailedStream(const absl::Status& status) { this->Finish(rpc::ToGrpcStatus(status)); }

 private:
  void OnDone() override { delete this; }
};

// Passes a worker's own drain on to an operator. Each side is read or written one at a time; the
// operator's leaving ends only the watching, not the drain.
class DrainRelay final : public grpc::ServerWriteReactor<v1::DrainWorkerResponse>,
                         public grpc::ClientReadReactor<v1::DrainResponse> {
 public:
  using ServerSide = grpc::ServerWriteReactor<v1::DrainWorkerResponse>;
  using ClientSide = grpc::ClientReadReactor<v1::DrainResponse>;

  DrainRelay(std::shared_ptr<v1::WorkerService::StubInterface> stub, PendingOperations& pending,
             const v1::DrainWorkerRequest& request)
      : stub_(std::move(stub)), pending_(pending) {
    request_.set_mode(request.mode());
    request_.set_deadline_ms(request.deadline_ms());
    pending_.Begin();
    stub_->async()->Drain(&context_, &request_, this);
    // Reads are started by the operator's side: the hold keeps the worker's call open for them.
    AddHold();
    StartRead(&message_);
    StartCall();
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return RemoveHold();
    *response_.mutable_progress() = message_;
    StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) context_.TryCancel();
    StartRead(&message_);
  }
  void OnCancel() override { context_.TryCancel(); }
  // Of the worker's call.
  void OnDone(const grpc::Status& status) override {
    pending_.End();
    Finish(rpc::ToGrpcStatus(rpc::FromGrpcStatus(status)));
  }
  // Of the operator's call, which ends last: it ends by what the worker's call ended with.
  void OnDone() override { delete this; }

  std::shared_ptr<v1::WorkerService::StubInterface> stub_;
  PendingOperations& pending_;
  grpc::ClientContext context_;
  v1::DrainRequest request_;
  v1::DrainResponse message_;
  v1::DrainWorkerResponse response_;
};

absl::Status Explain(const ServiceContext& context, const v1::GenerateRequest& request,
                     v1::ExplainRouteResponse& response) {
  BANYAN_RETURN_IF_ERROR(ValidateEnvelope(request));
  BANYAN_ASSIGN_OR_RETURN(const std::shared_ptr<ModelPool> pool,
                          context.registry.FindModel(request.model()));
  BANYAN_RETURN_IF_ERROR(ValidateGenerate(request, pool->limits()));
  BANYAN_ASSIGN_OR_RETURN(const PreparedRequest prepared,
                          Prepare(request, pool->ForPreparation(context.cluster_secret)));
  const auto prompt_tokens = static_cast<uint32_t>(prepared.worker_request.prompt_token_ids_size());
  const RouteQuery query = {.blocks = prepared.blocks,
                            .prompt_tokens = prompt_tokens,
                            .max_tokens = prepared.worker_request.sampling().max_tokens(),
                            .session_hash = prepared.session_hash,
                            .random = rpc::NewRandomId()};
  const auto decision = pool->routing().Explain(query, context.clock.Now());
  if (!decision.has_value()) {
    return Error(ErrorReason::kNoWorker,
                 "no worker of model \"" + pool->model() + "\" can take requests now")
        .RetryAfter(std::chrono::seconds(1))
        .ToStatus();
  }
  *response.mutable_decision() = ToWire(*decision);
  response.set_prompt_tokens(prompt_tokens);
  return absl::OkStatus();
}

}  // namespace

grpc::ServerUnaryReactor* ClusterService::ListWorkers(grpc::CallbackServerContext* context,
                                                      const v1::ListWorkersRequest*,
                                                      v1::ListWorkersResponse* response) {
  for (v1::Worker& worker : context_.registry.DescribeWorkers()) {
    *response->add_workers() = std::move(worker);
  }
  return FinishNow(context, absl::OkStatus());
}

grpc::ServerWriteReactor<v1::WatchWorkersResponse>* ClusterService::WatchWorkers(
    grpc::CallbackServerContext*, const v1::WatchWorkersRequest* request) {
  const uint32_t interval_ms =
      request->interval_ms() == 0 ? kWatchIntervalDefaultMs : request->interval_ms();
  if (interval_ms < kWatchIntervalMinMs || interval_ms > kWatchIntervalMaxMs) {
    return new FailedStream<v1::WatchWorkersResponse>(rpc::InvalidField(
        "interval_ms", absl::StrFormat("out of range, want 0 or [%d, %d], got %d",
                                       kWatchIntervalMinMs, kWatchIntervalMaxMs, interval_ms)));
  }
  using Stream = PeriodicStream<v1::WatchWorkersResponse>;
  return new Stream(milliseconds(interval_ms), [this] {
    Stream::Picture picture;
    for (v1::Worker& worker : context_.registry.DescribeWorkers()) {
      *picture.response.add_workers() = std::move(worker);
    }
    picture.response.set_active_streams(static_cast<uint32_t>(context_.active.size()));
    *picture.response.mutable_tree() = context_.registry.DescribeTree();
    return picture;
  });
}

grpc::ServerUnaryReactor* ClusterService::AddWorker(grpc::CallbackServerContext* context,
                                                    const v1::AddWorkerRequest* request,
                                                    v1::AddWorkerResponse* response) {
  constexpr size_t kAddressBytesMax = 256;
  if (request->address().empty() || request->address().size() > kAddressBytesMax) {
    return FinishNow(context, rpc::InvalidField("address", "want host:port of 1 to 256 bytes"));
  }
  const auto connection = context_.registry.AddWorker(request->address(), request->pool());
  if (!connection.ok()) return FinishNow(context, connection.status());
  *response->mutable_worker() = (*connection)->Describe();
  return FinishNow(context, absl::OkStatus());
}

grpc::ServerWriteReactor<v1::DrainWorkerResponse>* ClusterService::DrainWorker(
    grpc::CallbackServerContext*, const v1::DrainWorkerRequest* request) {
  const std::shared_ptr<WorkerConnection> worker =
      context_.registry.FindWorker(request->worker_id());
  if (worker == nullptr) {
    return new FailedStream<v1::DrainWorkerResponse>(NoWorkerOf(request->worker_id()));
  }
  if (const auto place = worker->place(); place.has_value()) {
    // At once: its own report of the drain takes a moment.
    place->pool->routing().SetDraining(place->handle, true);
  }
  return new DrainRelay(worker->stub(), context_.registry.pending(), *request);
}

grpc::ServerUnaryReactor* ClusterService::RemoveWorker(grpc::CallbackServerContext* context,
                                                       const v1::RemoveWorkerRequest* request,
                                                       v1::RemoveWorkerResponse*) {
  return FinishNow(context, context_.registry.RemoveWorker(request->worker_id()));
}

grpc::ServerWriteReactor<v1::DrainRouterResponse>* ClusterService::DrainRouter(
    grpc::CallbackServerContext*, const v1::DrainRouterRequest* request) {
  if (request->deadline_ms() > kDrainMaxMs) {
    return new FailedStream<v1::DrainRouterResponse>(
        rpc::InvalidField("deadline_ms", absl::StrFormat("out of range, want [0, %d], got %d",
                                                         kDrainMaxMs, request->deadline_ms())));
  }
  begin_drain_();
  const milliseconds limit(request->deadline_ms() == 0 ? kDrainDefaultMs : request->deadline_ms());
  const TimePoint deadline = context_.clock.Now() + limit;
  using Stream = PeriodicStream<v1::DrainRouterResponse>;
  return new Stream(kDrainProgress, [this, deadline] {
    const size_t num_open = context_.active.size();
    if (num_open > 0 && context_.clock.Now() >= deadline) {
      context_.active.EndAll(
          Error(ErrorReason::kRouterDraining, "this router ends: its drain ran out of time")
              .RetryAfter(std::chrono::seconds(1))
              .ToStatus());
    }
    Stream::Picture picture;
    picture.response.set_active_streams(static_cast<uint32_t>(num_open));
    if (num_open == 0 && context_.active.draining()) picture.last = grpc::Status::OK;
    return picture;
  });
}

grpc::ServerUnaryReactor* ClusterService::ExplainRoute(grpc::CallbackServerContext* context,
                                                       const v1::ExplainRouteRequest* request,
                                                       v1::ExplainRouteResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool queued = context_.work_pool.Submit([this, reactor, request, response] {
    reactor->Finish(rpc::ToGrpcStatus(Explain(context_, request->request(), *response)));
  });
  if (!queued) {
    reactor->Finish(
        Error(ErrorReason::kQueueFull, "requests: too many wait for tokenization").ToGrpc());
  }
  return reactor;
}

grpc::ServerUnaryReactor* ClusterService::ListHotPrefixes(grpc::CallbackServerContext* context,
                                                          const v1::ListHotPrefixesRequest*,
                                                          v1::ListHotPrefixesResponse*) {
  return FinishNow(context, Error(ErrorReason::kMethodUnsupported,
                                  "ListHotPrefixes: this build does not count requests by prefix")
                                .ToStatus());
}

grpc::ServerUnaryReactor* ClusterService::ListModelRoutes(grpc::CallbackServerContext* context,
                                                          const v1::ListModelRoutesRequest*,
                                                          v1::ListModelRoutesResponse* response) {
  for (const std::shared_ptr<ModelPool>& pool : context_.registry.Pools()) {
    v1::ModelRoute& route = *response->add_routes();
    route.set_model(pool->model());
    v1::ModelRouteTarget& target = *route.add_targets();
    target.set_pool(pool->label());
    target.set_weight(1);
  }
  return FinishNow(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* ClusterService::SetModelRoute(grpc::CallbackServerContext* context,
                                                        const v1::SetModelRouteRequest*,
                                                        v1::SetModelRouteResponse*) {
  return FinishNow(context,
                   Error(ErrorReason::kMethodUnsupported,
                         "SetModelRoute: this build serves each model from the pool of its name")
                       .ToStatus());
}

}  // namespace banyan::router
