#include "router/generate_proxy.h"

#include <algorithm>
#include <utility>

#include "common/rpc/errors.h"
#include "router/wire_conversion.h"
#include "router/worker_call.h"

namespace banyan::router {
namespace {

using rpc::Error;
using rpc::ErrorReason;

constexpr size_t kAttemptsMax = 3;
constexpr size_t kPendingBytesMax = 256u << 10;
// The worker gets the rest of the deadline less this, so that its answer still reaches the client.
constexpr auto kDeadlineMargin = std::chrono::milliseconds(5);

StreamEnd StreamEndOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return StreamEnd::kOk;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
      return rpc::ReasonOf(status) == ErrorReason::kWorkerDraining ? StreamEnd::kCancelled
                                                                   : StreamEnd::kWorkerFault;
    default:
      return StreamEnd::kCancelled;
  }
}

}  // namespace

GenerateProxy::GenerateProxy(const ServiceContext& context, ClientSink& sink, GenerateCall call)
    : context_(context),
      sink_(sink),
      call_(std::move(call)),
      arrived_(context.clock.Now()),
      class_name_(ClassNameOf(call_.request.priority())) {}

void GenerateProxy::Start() {
  const std::lock_guard lock(mutex_);
  context_.metrics.AddActive(class_name_, 1);
  context_.retry_budget.OnRequest();
  absl::Status status = Admit();
  context_.metrics.ObserveStage(Stage::kParse, context_.clock.Now() - arrived_);
  if (!status.ok()) return EndWith(std::move(status));
  const bool queued =
      context_.work_pool.Submit([self = shared_from_this()] { self->PrepareAndDispatch(); });
  if (!queued) {
    EndWith(Error(ErrorReason::kQueueFull, "requests: too many wait for tokenization")
                .RetryAfter(std::chrono::seconds(1))
                .ToStatus());
  }
}

absl::Status GenerateProxy::Admit() {
  if (absl::Status status = ValidateEnvelope(call_.request); !status.ok()) return status;
  if (absl::Status status = context_.active.Add(call_.request.request_id(), weak_from_this());
      !status.ok()) {
    return status;
  }
  registered_ = true;
  auto pool = context_.registry.FindModel(call_.request.model());
  if (!pool.ok()) return pool.status();
  pool_ = *std::move(pool);
  return ValidateGenerate(call_.request, pool_->limits());
}

void GenerateProxy::PrepareAndDispatch() {
  const TimePoint begun = context_.clock.Now();
  // The long part, on text that nobody else touches: without the lock.
  auto prepared = Prepare(call_.request, pool_->ForPreparation(context_.cluster_secret));
  const std::lock_guard lock(mutex_);
  context_.metrics.ObserveStage(Stage::kTokenize, context_.clock.Now() - begun);
  if (ending_.has_value()) return;
  if (!prepared.ok()) return EndWith(prepared.status());
  prepared_ = *std::move(prepared);
  usage_.set_prompt_tokens(
      static_cast<uint32_t>(prepared_->worker_request.prompt_token_ids_size()));
  assembler_ = std::make_unique<OutputAssembler>(*pool_->text().tokenizer, prepared_->output);
  SendToWorker(AttemptKind::kFirst, absl::OkStatus());
}

std::shared_ptr<const WorkerEndpoint> GenerateProxy::Route(AttemptKind attempt) {
  const TimePoint begun = context_.clock.Now();
  const v1::GenerateTokensRequest& request = prepared_->worker_request;
  while (true) {
    const RouteQuery query = {.blocks = prepared_->blocks,
                              .prompt_tokens = usage_.prompt_tokens(),
                              .max_tokens = request.sampling().max_tokens(),
                              .session_hash = prepared_->session_hash,
                              .random = rpc::NewRandomId(),
                              .attempt = attempt,
                              .excluded = tried_};
    const TimePoint now = context_.clock.Now();
    auto decision = call_.request.explain() ? pool_->routing().Explain(query, now)
                                            : pool_->routing().Route(query, now);
    if (!decision.has_value()) return nullptr;
    tried_.push_back(decision->worker);
    std::shared_ptr<const WorkerEndpoint> endpoint = pool_->FindEndpoint(decision->worker);
    // It left between the decision and now.
    if (endpoint == nullptr) continue;
    decision_ = *std::move(decision);
    dispatch_ =
        pool_->routing().BeginDispatch(decision_.worker, query, decision_.matched_tokens, now);
    context_.metrics.ObserveStage(Stage::kChoose, context_.clock.Now() - begun);
    context_.metrics.CountDecision(pool_->label(), decision_.reason, decision_.matched_tokens);
    if (call_.request.explain()) explained_ = ToWire(decision_);
    return endpoint;
  }
}

void GenerateProxy::SendToWorker(AttemptKind attempt, const absl::Status& failed_before) {
  if (std::chrono::system_clock::now() + kDeadlineMargin >= call_.deadline) {
    return EndWith(
        Error(ErrorReason::kDeadlineExceeded, "deadline: passed before a worker was chosen")
            .ToStatus());
  }
  endpoint_ = Route(attempt);
  if (endpoint_ == nullptr) {
    if (!failed_before.ok()) return EndWith(failed_before);
    return EndWith(Error(ErrorReason::kNoWorker,
                         "no worker of model \"" + pool_->model() + "\" can take requests now")
                       .RetryAfter(std::chrono::seconds(1))
                       .ToStatus());
  }
  dispatched_ = context_.clock.Now();
  const WorkerCall::Options options = {
      .deadline = call_.deadline - kDeadlineMargin,
      .traceparent = call_.trace.has_value() ? call_.trace->Child().ToString() : std::string()};
  worker_call_ = std::make_shared<WorkerCall>(shared_from_this(), endpoint_, WorkerRequest(),
                                              options, context_.registry.pending());
  worker_call_->Start();
  context_.metrics.ObserveStage(Stage::kForward, context_.clock.Now() - dispatched_);
}

v1::GenerateTokensRequest GenerateProxy::WorkerRequest() const {
  v1::GenerateTokensRequest request = prepared_->worker_request;
  request.set_router_id(context_.registry.router_id());
  request.set_dispatch_sequence(dispatch_->sequence);
  request.set_model_fingerprint(endpoint_->model_fingerprint);
  request.set_waited_us(static_cast<uint64_t>(ToMicroseconds(WaitedSoFar())));
  return request;
}

Duration GenerateProxy::WaitedSoFar() const {
  return dispatched_ == TimePoint() ? Duration(0) : dispatched_ - arrived_;
}

bool GenerateProxy::OnWorkerMessage(WorkerCall& call, const v1::GenerateTokensResponse& message) {
  // Whatever still comes on a call that is over is read and dropped, until gRPC says it has ended.
  if (ending_.has_value() || &call != worker_call_.get()) return true;
  v1::GenerateResponse response;
  const bool first = !first_token_.has_value();
  if (first) FillStart(message, response);
  if (message.has_timing()) timing_ = message.timing();
  if (message.has_usage()) {
    const uint32_t prompt_tokens = usage_.prompt_tokens();
    const uint32_t cached_tokens = first ? message.usage().cached_tokens() : usage_.cached_tokens();
    usage_ = message.usage();
    usage_.set_prompt_tokens(prompt_tokens);
    usage_.set_cached_tokens(cached_tokens);
  }
  const uint32_t tokens_before = assembler_->num_tokens();
  for (const v1::SampleTokens& sample : message.samples()) {
    absl::Status status = assembler_->Apply(sample, response);
    if (status.ok()) continue;
    EndDispatch(status);
    EndWith(std::move(status));
    return true;
  }
  StopFinishedSamples();
  pending_tokens_ += assembler_->num_tokens() - tokens_before;
  if (first) RecordFirstToken(context_.clock.Now());
  Enqueue(std::move(response), first);
  paused_ = pending_bytes_ >= kPendingBytesMax;
  return !paused_;
}

void GenerateProxy::RecordFirstToken(TimePoint now) {
  first_token_ = now;
  pool_->routing().OnFirstToken(*dispatch_, now);
  context_.metrics.ForRequests(pool_->model(), class_name_)
      .ttft->Observe(ToSeconds(now - arrived_));
  if (decision_.expected_ttft_s > 0) {
    context_.metrics.ObservePrediction(pool_->label(),
                                       ToSeconds(now - dispatched_) / decision_.expected_ttft_s);
  }
}

void GenerateProxy::FillStart(const v1::GenerateTokensResponse& message,
                              v1::GenerateResponse& response) {
  sink_.AddMetadata("x-request-id", call_.request.request_id());
  sink_.AddMetadata("banyan-worker-id", endpoint_->worker_id);
  v1::GenerationStart& start = *response.mutable_start();
  start.set_request_id(call_.request.request_id());
  start.set_model(pool_->model());
  start.set_model_fingerprint(endpoint_->model_fingerprint);
  start.set_seed(prepared_->worker_request.sampling().seed());
  start.set_prompt_tokens(usage_.prompt_tokens());
  start.set_cached_tokens(message.usage().cached_tokens());
  if (call_.request.return_token_ids()) {
    *start.mutable_prompt_token_ids() = prepared_->worker_request.prompt_token_ids();
  }
  start.set_prompt_text(prepared_->prompt_text);
  if (message.has_prompt_logprobs()) {
    *start.mutable_prompt_logprobs() = message.prompt_logprobs();
    FillTokenBytes(*pool_->text().tokenizer, *start.mutable_prompt_logprobs());
  }
  if (explained_.has_value()) *response.mutable_routing() = *explained_;
}

void GenerateProxy::StopFinishedSamples() {
  const std::vector<uint32_t> stopped = assembler_->TakeStoppedSamples();
  if (!stopped.empty()) worker_call_->StopSamples(stopped);
}

void GenerateProxy::OnWorkerEnd(WorkerCall& call, const absl::Status& status) {
  if (&call != worker_call_.get()) return;
  worker_call_ = nullptr;
  EndDispatch(status);
  if (ending_.has_value()) return;
  if (status.ok()) {
    if (assembler_->finished()) return FinishOk();
    return EndWith(
        Error(ErrorReason::kProtocolGap, "worker: ended before every sample had").ToStatus());
  }
  context_.metrics.CountWorkerError(pool_->label(), endpoint_->worker_id, status.code());
  if (MayRetry(status)) {
    const bool rejected = status.code() == absl::StatusCode::kResourceExhausted;
    const bool named = rpc::ReasonOf(status).has_value();
    context_.metrics.CountRetry(pool_->label(), rejected ? RetryCause::kRejected
                                                : named  ? RetryCause::kUnavailable
                                                         : RetryCause::kConnect);
    return SendToWorker(AttemptKind::kRetry, status);
  }
  if (status.code() == absl::StatusCode::kUnavailable && !rpc::ReasonOf(status).has_value()) {
    return EndWith(
        Error(ErrorReason::kWorkerLost,
              "worker " + endpoint_->worker_id + " was lost: " + std::string(status.message()))
            .RetryAfter(std::chrono::seconds(1))
            .ToStatus());
  }
  EndWith(status);
}

bool GenerateProxy::MayRetry(const absl::Status& status) const {
  if (first_token_.has_value() || tried_.size() >= kAttemptsMax) return false;
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kCancelled:
      return false;
    case absl::StatusCode::kFailedPrecondition:
      // Another worker may have more memory, but the pool is meant to be alike.
      if (rpc::ReasonOf(status) == ErrorReason::kKvCapacityExceeded) return false;
      break;
    default:
      break;
  }
  const bool allowed = context_.retry_budget.Take();
  context_.metrics.SetRetryBudget(context_.retry_budget.Remaining());
  return allowed;
}

void GenerateProxy::EndDispatch(const absl::Status& status) {
  if (!dispatch_.has_value()) return;
  // Ended by us: says nothing about the worker.
  const StreamEnd end = ending_.has_value() ? StreamEnd::kCancelled : StreamEndOf(status);
  pool_->routing().EndDispatch(*dispatch_, end, assembler_->num_tokens(), context_.clock.Now());
  dispatch_.reset();
}

}  // namespace banyan::router
