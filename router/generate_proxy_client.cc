// The client's side of GenerateProxy: what waits, what is written, how it ends.
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/log.h"
#include "common/rpc/errors.h"
#include "router/generate_proxy.h"
#include "router/wire_conversion.h"
#include "router/worker_call.h"

namespace banyan::router {
namespace {

using rpc::Error;
using rpc::ErrorReason;

constexpr size_t kCoalesceBytesMax = 64u << 10;
constexpr size_t kResumeBytes = 64u << 10;
constexpr Duration kProgressTimeout = std::chrono::seconds(60);

bool HasTokens(const v1::GenerateResponse& response) { return response.samples_size() > 0; }

// Whether a client would miss anything if this waited for the next message.
bool HasContent(const v1::GenerateResponse& response) {
  if (response.has_start() || response.has_usage() || response.has_routing()) return true;
  for (const v1::SampleDelta& delta : response.samples()) {
    if (!delta.text().empty() || delta.token_ids_size() > 0 || delta.has_logprobs() ||
        delta.finish_reason() != v1::FINISH_REASON_UNSPECIFIED) {
      return true;
    }
  }
  return false;
}

int64_t Milliseconds(Duration time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

}  // namespace

void GenerateProxy::Enqueue(v1::GenerateResponse response, bool flush) {
  const size_t bytes = response.ByteSizeLong();
  if (!pending_.empty() && pending_.back().ByteSizeLong() + bytes <= kCoalesceBytesMax) {
    MergeResponse(std::move(response), pending_.back());
  } else {
    pending_.push_back(std::move(response));
  }
  pending_bytes_ += bytes;
  flush_ =
      flush_ || flush || pending_tokens_ >= std::max(1u, call_.request.stream_interval_tokens());
  WriteNext();
}

void GenerateProxy::WriteNext() {
  if (write_in_flight_ || finished_) return;
  const bool due = flush_ || ending_.has_value() || pending_.size() > 1;
  if (!due || pending_.empty()) return FinishIfIdle();
  if (!ending_.has_value() && pending_.size() == 1 && !HasContent(pending_.front())) return;
  writing_ = std::move(pending_.front());
  pending_.pop_front();
  if (pending_.empty()) {
    pending_bytes_ = 0;
    pending_tokens_ = 0;
    flush_ = false;
  } else {
    const size_t bytes = writing_.ByteSizeLong();
    pending_bytes_ -= std::min(pending_bytes_, bytes);
  }
  const TimePoint now = context_.clock.Now();
  if (HasTokens(writing_) && last_message_ != TimePoint()) {
    context_.metrics.ForRequests(pool_->model(), class_name_)
        .itl->Observe(ToSeconds(now - last_message_));
  }
  if (HasTokens(writing_)) last_message_ = now;
  write_in_flight_ = true;
  write_started_ = now;
  sink_.StartWrite(writing_);
}

void GenerateProxy::OnWritten(bool ok) {
  const std::lock_guard lock(mutex_);
  write_in_flight_ = false;
  if (!ok) {
    pending_.clear();
    if (!ending_.has_value()) {
      EndWith(Error(ErrorReason::kCancelled, "the client went away").ToStatus());
    }
    return FinishIfIdle();
  }
  WriteNext();
  if (paused_ && pending_bytes_ < kResumeBytes && worker_call_ != nullptr) {
    paused_ = false;
    worker_call_->ReadOn();
  }
}

void GenerateProxy::OnClientCancelled() {
  const bool late = std::chrono::system_clock::now() >= call_.deadline;
  End(late ? Error(ErrorReason::kDeadlineExceeded, "deadline: passed").ToStatus()
           : Error(ErrorReason::kCancelled, "cancelled by the client").ToStatus());
}

void GenerateProxy::End(const absl::Status& status) {
  const std::lock_guard lock(mutex_);
  pending_.clear();
  EndWith(status);
}

void GenerateProxy::CheckProgress(TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (!write_in_flight_ || finished_ || now - write_started_ < kProgressTimeout) return;
  // Once a minute at most, should the abort itself take long.
  write_started_ = now;
  pending_.clear();
  if (!ending_.has_value()) {
    context_.metrics.CountSlowReader();
    EndWith(Error(ErrorReason::kSlowReader, "the client took no message for 60 s").ToStatus());
  }
  sink_.AbortWrite();
}

void GenerateProxy::FinishOk() {
  v1::GenerateResponse last;
  *last.mutable_usage() = usage_;
  last.mutable_usage()->set_completion_tokens(assembler_->num_tokens());
  *last.mutable_timing() = timing_;
  last.mutable_timing()->set_queue_us(timing_.queue_us() +
                                      static_cast<uint64_t>(ToMicroseconds(WaitedSoFar())));
  last.mutable_timing()->set_num_moves(0);
  ending_ = absl::OkStatus();
  Enqueue(std::move(last), true);
}

void GenerateProxy::EndWith(absl::Status status) {
  if (ending_.has_value()) return;
  ending_ = std::move(status);
  if (worker_call_ != nullptr) {
    worker_call_->Cancel();
    // A paused call learns of its end by reading.
    if (paused_) worker_call_->ReadOn();
    paused_ = false;
  }
  if (pending_.empty()) return FinishIfIdle();
  WriteNext();
}

void GenerateProxy::FinishIfIdle() {
  if (finished_ || write_in_flight_ || !ending_.has_value() || !pending_.empty()) return;
  finished_ = true;
  RecordEnd();
  sink_.Finish(*ending_);
}

void GenerateProxy::RecordEnd() {
  const TimePoint now = context_.clock.Now();
  if (registered_) context_.active.Remove(call_.request.request_id());
  context_.metrics.AddActive(class_name_, -1);
  context_.metrics.CountGrpcCall("Generate", ending_->code());
  const uint32_t output_tokens = assembler_ == nullptr ? 0 : assembler_->num_tokens();
  const uint32_t num_samples =
      prepared_.has_value() ? prepared_->worker_request.sampling().num_samples() : 1;
  context_.metrics.CountRequest({.model = pool_ == nullptr ? "other" : pool_->model(),
                                 .request_class = class_name_,
                                 .status = *ending_,
                                 .prompt_tokens = usage_.prompt_tokens(),
                                 .cached_tokens = usage_.cached_tokens(),
                                 .output_tokens = output_tokens,
                                 .num_samples = num_samples,
                                 .e2e = now - arrived_});
  const Duration ttft = first_token_.has_value() ? *first_token_ - arrived_ : Duration(0);
  const double gaps_ms = first_token_.has_value() && output_tokens > num_samples
                             ? ToSeconds(last_message_ - *first_token_) * 1e3 /
                                   (static_cast<double>(output_tokens) / num_samples - 1)
                             : 0;
  const size_t retries = tried_.empty() ? 0 : tried_.size() - 1;
  Log(LogSeverity::kInfo, "request")
      .Field("request_id", call_.request.request_id())
      .Field("trace_id", call_.trace.has_value() ? call_.trace->trace_id : std::string())
      .Field("tenant", "")
      .Field("model", pool_ == nullptr ? call_.request.model() : pool_->model())
      .Field("class", class_name_)
      .Field("protocol", "grpc")
      .Field("outcome", OutcomeOf(*ending_))
      .Field("code", absl::StatusCodeToString(ending_->code()))
      .Field("prompt_tokens", usage_.prompt_tokens())
      .Field("cached_tokens", usage_.cached_tokens())
      .Field("output_tokens", output_tokens)
      .Field("queue_ms",
             Milliseconds(WaitedSoFar()) + static_cast<int64_t>(timing_.queue_us() / 1000))
      .Field("ttft_ms", Milliseconds(ttft))
      .Field("itl_mean_ms", gaps_ms)
      .Field("e2e_ms", Milliseconds(now - arrived_))
      .Field("worker", endpoint_ == nullptr ? std::string() : endpoint_->worker_id)
      .Field("reason", decision_.worker_id.empty() ? "" : NameOf(decision_.reason))
      .Field("retries", retries)
      .Field("moves", 0);
}

}  // namespace banyan::router
