// One GenerateTokens call: the gRPC stream on one side, the engine's sink on the other.
//
// The engine thread only appends to the response queue and, when no write is outstanding, starts
// one; it never waits. The call ends when the engine has said so (OnFinish), never before: a
// cancelled stream cancels the request, and the engine frees its blocks at the next step boundary.
// Whatever comes first, the object lives until both sides are done with it.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "banyan/v1/worker_service.grpc.pb.h"
#include "worker/request/request_sink.h"
#include "worker/service/response_queue.h"
#include "worker/service/service_context.h"

namespace banyan::worker {

class GenerateCall final : public grpc::ServerWriteReactor<v1::GenerateTokensResponse>,
                           public RequestSink {
 public:
  // Validates and submits; a refused request is finished at once. The call owns itself.
  static GenerateCall* Start(ServiceContext& service, grpc::CallbackServerContext& call,
                             const v1::GenerateTokensRequest& wire);

  // --- gRPC's side ---
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  // --- the engine's side ---
  void OnStart(const RequestUsage& usage, const TokenLogprobs& prompt_logprobs) override;
  void OnTokens(std::span<const SampleUpdate> updates) override;
  void OnFinish(const absl::Status& status, const RequestUsage& usage,
                const RequestTiming& timing) override;

 private:
  explicit GenerateCall(ServiceContext& service) : service_(service) {}

  void Submit(const v1::GenerateTokensRequest& wire, grpc::CallbackServerContext& call);
  // Both with the mutex held.
  void Pump();
  void ObserveMessage(const v1::GenerateTokensResponse& message);
  void WriteLogLine() const;

  ServiceContext& service_;
  std::shared_ptr<GenerateCall> self_;  // until OnDone
  std::string request_id_;
  std::string trace_id_;
  Priority priority_ = Priority::kInteractive;
  TimePoint arrival_;

  std::mutex mutex_;
  ResponseQueue queue_;
  v1::GenerateTokensResponse message_;  // being written
  bool submitted_ = false;
  bool writing_ = false;
  bool gone_ = false;    // the client is: nothing more is written
  bool ended_ = false;   // by the engine, or refused
  bool closed_ = false;  // Finish was called
  absl::Status status_;
  RequestUsage usage_;
  RequestTiming timing_;
  FinishReason finish_reason_ = FinishReason::kNone;
  int64_t num_token_messages_ = 0;
  TimePoint first_token_;
  TimePoint last_token_;
};

}  // namespace banyan::worker
