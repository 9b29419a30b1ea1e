#include "worker/service/generate_call.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/log.h"
#include "common/rpc/errors.h"
#include "common/rpc/request_id.h"

namespace banyan::worker {
namespace {

using rpc::ErrorReason;

constexpr const char* kClassNames[kNumPriorities] = {"realtime", "interactive", "batch"};
constexpr double kRetryMinS = 1;
constexpr double kRetryMaxS = 120;
constexpr Duration kDrainRetryDelay = std::chrono::seconds(1);

double Milliseconds(Duration duration) { return ToSeconds(duration) * 1e3; }

// When a full queue will have room: its length over the rate at which requests end.
Duration RetryDelay(const EngineStats& stats) {
  const double rate = std::max(stats.requests_finished_per_s, 1e-3);
  const double wait_s = std::clamp(stats.waiting_requests / rate, kRetryMinS, kRetryMaxS);
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(wait_s));
}

// The reason of a code, where the engine's message does not begin with one.
ErrorReason RefusalReason(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kResourceExhausted:
      return ErrorReason::kQueueFull;
    case absl::StatusCode::kFailedPrecondition:
      return ErrorReason::kKvCapacityExceeded;
    case absl::StatusCode::kAlreadyExists:
      return ErrorReason::kRequestIdInUse;
    case absl::StatusCode::kUnavailable:
      return ErrorReason::kWorkerDraining;
    case absl::StatusCode::kInvalidArgument:
      return ErrorReason::kInvalidField;
    default:
      return ErrorReason::kEngineFault;
  }
}

ErrorReason EndReason(absl::StatusCode code, const Engine& engine) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
      return ErrorReason::kWorkerDraining;
    case absl::StatusCode::kResourceExhausted:
      return ErrorReason::kQueueTimeout;
    case absl::StatusCode::kCancelled:
      return ErrorReason::kCancelled;
    case absl::StatusCode::kDeadlineExceeded:
      return ErrorReason::kDeadlineExceeded;
    default:
      // A fault of the executor ends the engine; one request's logits do not.
      return engine.Stats().state == EngineState::kFailed ? ErrorReason::kEngineFault
                                                          : ErrorReason::kNonFiniteLogits;
  }
}

// Why the engine did not take a request, and when to try again where that may help.
absl::Status RefusalOf(const absl::Status& engine_status, const Engine& engine) {
  const absl::Status status =
      rpc::WithReason(rpc::TakeReasonPrefix(engine_status), RefusalReason(engine_status.code()));
  const ErrorReason reason = *rpc::ReasonOf(status);
  rpc::Error error(reason, std::string(status.message()));
  if (reason == ErrorReason::kQueueFull) error.RetryAfter(RetryDelay(engine.Stats()));
  if (reason == ErrorReason::kWorkerDraining) error.RetryAfter(kDrainRetryDelay);
  return error.ToStatus();
}

absl::Status EndOf(const absl::Status& engine_status, const Engine& engine) {
  if (engine_status.ok()) return engine_status;
  const absl::Status status = rpc::TakeReasonPrefix(engine_status);
  if (rpc::ReasonOf(status).has_value()) return status;
  return rpc::WithReason(status, EndReason(status.code(), engine));
}

std::string TraceIdOf(const grpc::CallbackServerContext& call) {
  const auto& metadata = call.client_metadata();
  const auto found = metadata.find("traceparent");
  if (found == metadata.end()) return "";
  const auto parent = rpc::ParseTraceParent({found->second.data(), found->second.size()});
  return parent.has_value() ? parent->trace_id : "";
}

}  // namespace

GenerateCall* GenerateCall::Start(ServiceContext& service, grpc::CallbackServerContext& call,
                                  const v1::GenerateTokensRequest& wire) {
  ++service.generate_calls;
  const std::shared_ptr<GenerateCall> self(new GenerateCall(service));
  self->self_ = self;
  self->Submit(wire, call);
  return self.get();
}

void GenerateCall::Submit(const v1::GenerateTokensRequest& wire,
                          grpc::CallbackServerContext& call) {
  arrival_ = service_.clock.Now();
  request_id_ = wire.request_id().substr(0, rpc::kRequestIdBytesMax);
  trace_id_ = TraceIdOf(call);
  const uint64_t turn = service_.engine.Stats().heartbeats;
  absl::StatusOr<Request> request = ConvertRequest(wire, service_.limits);
  absl::Status status = request.status();
  if (status.ok()) {
    priority_ = request->priority;
    if (call.deadline() != std::chrono::system_clock::time_point::max()) {
      request->deadline = arrival_ + std::chrono::duration_cast<Duration>(
                                         call.deadline() - std::chrono::system_clock::now());
    }
    {
      // Before the engine can answer.
      const std::lock_guard lock(mutex_);
      submitted_ = true;
    }
    status = service_.engine.Submit(*std::move(request), self_);
    if (!status.ok()) status = RefusalOf(status, service_.engine);
  }
  // The turn that runs may have emptied the inbox before: the one after it shows the request.
  // What was refused is in no picture, and so in every one.
  service_.dispatches.Record(wire.router_id(), wire.dispatch_sequence(),
                             status.ok() ? turn + 2 : 0);
  if (status.ok()) return;
  const std::lock_guard lock(mutex_);
  submitted_ = false;
  ended_ = true;
  status_ = std::move(status);
  Pump();
}

void GenerateCall::OnStart(const RequestUsage& usage, const TokenLogprobs& prompt_logprobs) {
  const std::lock_guard lock(mutex_);
  queue_.Start(usage, prompt_logprobs);
}

void GenerateCall::OnTokens(std::span<const SampleUpdate> updates) {
  const std::lock_guard lock(mutex_);
  for (const SampleUpdate& update : updates) {
    finish_reason_ = std::max(finish_reason_, update.finish_reason);
  }
  if (gone_) return;
  queue_.AddTokens(updates);
  Pump();
}

void GenerateCall::OnFinish(const absl::Status& status, const RequestUsage& usage,
                            const RequestTiming& timing) {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  status_ = EndOf(status, service_.engine);
  usage_ = usage;
  timing_ = timing;
  if (status.ok() && !gone_) queue_.End(usage, timing);
  if (status.code() == absl::StatusCode::kUnavailable) ++service_.handed_over;
  Pump();
}

void GenerateCall::Pump() {
  if (writing_ || closed_) return;
  if (!gone_ && !queue_.empty()) {
    message_ = queue_.Pop();
    ObserveMessage(message_);
    if (ended_ && queue_.empty()) {
      closed_ = true;
      StartWriteAndFinish(&message_, grpc::WriteOptions(), rpc::ToGrpcStatus(status_));
      return;
    }
    writing_ = true;
    StartWrite(&message_);
  } else if (ended_) {
    closed_ = true;
    Finish(rpc::ToGrpcStatus(status_));
  }
}

void GenerateCall::ObserveMessage(const v1::GenerateTokensResponse& message) {
  if (message.samples().empty()) return;
  const TimePoint now = service_.clock.Now();
  if (num_token_messages_++ == 0) {
    first_token_ = now;
    service_.metrics.ObserveFirstToken(priority_, now - arrival_);
  } else {
    service_.metrics.ObserveGap(priority_, now - last_token_);
  }
  last_token_ = now;
}

void GenerateCall::OnWriteDone(bool ok) {
  bool cancel = false;
  {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) {
      gone_ = true;
      queue_.Clear();
      cancel = submitted_ && !ended_;
    }
    Pump();
  }
  // Outside the lock: the engine has locks of its own and calls us with them free.
  if (cancel) service_.engine.Cancel(request_id_);
}

void GenerateCall::OnCancel() {
  bool cancel = false;
  {
    const std::lock_guard lock(mutex_);
    gone_ = true;
    queue_.Clear();
    cancel = submitted_ && !ended_;
    Pump();
  }
  if (cancel) service_.engine.Cancel(request_id_);
}

void GenerateCall::OnDone() {
  const RequestOutcome outcome = OutcomeOf(status_);
  service_.metrics.CountRequest(
      outcome, outcome == RequestOutcome::kOk ? finish_reason_ : FinishReason::kNone);
  if (outcome == RequestOutcome::kOk) {
    service_.metrics.ObserveRequest(priority_, timing_, service_.clock.Now() - arrival_);
  }
  WriteLogLine();
  --service_.generate_calls;
  // The engine may hold its reference a little longer.
  const std::shared_ptr<GenerateCall> self = std::move(self_);
}

void GenerateCall::WriteLogLine() const {
  const RequestOutcome outcome = OutcomeOf(status_);
  Log line(LogSeverity::kInfo, "request_finished");
  line.Field("request_id", request_id_);
  if (!trace_id_.empty()) line.Field("trace_id", trace_id_);
  line.Field("model", service_.identity.model)
      .Field("class", kClassNames[static_cast<size_t>(priority_)])
      .Field("outcome", RequestOutcomeName(outcome));
  if (!status_.ok()) {
    const auto reason = rpc::ReasonOf(status_);
    line.Field("code", absl::StatusCodeToString(status_.code()));
    if (reason.has_value()) line.Field("error", rpc::InfoOf(*reason).name);
  }
  line.Field("prompt_tokens", usage_.prompt_tokens)
      .Field("cached_tokens", usage_.cached_tokens)
      .Field("output_tokens", usage_.completion_tokens)
      .Field("queue_ms", Milliseconds(timing_.queue));
  if (num_token_messages_ > 0) line.Field("ttft_ms", Milliseconds(first_token_ - arrival_));
  if (num_token_messages_ > 1) {
    line.Field("itl_mean_ms", Milliseconds(last_token_ - first_token_) /
                                  static_cast<double>(num_token_messages_ - 1));
  }
  line.Field("e2e_ms", Milliseconds(service_.clock.Now() - arrival_))
      .Field("preemptions", timing_.num_preemptions)
      .Field("worker", service_.identity.worker_id);
}

}  // namespace banyan::worker
