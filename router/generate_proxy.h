// One generation request from arrival to its last byte: validate, prepare, choose a worker, stream
// its tokens through as text, with backpressure in both directions.
//
//   Start -> (work pool) Prepare -> SendToWorker -> worker messages -> client messages -> Finish
//                                      ^ retry on another worker, until the first token
//
// Backpressure: one client write is outstanding at a time; up to 64 KiB coalesce into the next
// message; at 256 KiB the worker is not read on; a client that takes nothing for 60 s is ended.
// After the first token a lost worker ends the request with WORKER_LOST: continuing it elsewhere
// needs what OutputAssembler keeps, and has its place in OnWorkerEnd.
//
// Thread-safe: callbacks of client and worker side may overlap; one mutex guards the state.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "banyan/v1/inference_service.pb.h"
#include "common/rpc/request_id.h"
#include "router/requests/output_assembler.h"
#include "router/requests/request_preparation.h"
#include "router/service_context.h"

namespace banyan::router {

// The client's end of the stream, whatever protocol it speaks. Calls come from any thread, and not
// from within each other.
class ClientSink {
 public:
  virtual ~ClientSink() = default;
  // Before the first message only.
  virtual void AddMetadata(const std::string& key, const std::string& value) = 0;
  // `message` stays valid until GenerateProxy::OnWritten is called, exactly once.
  virtual void StartWrite(const v1::GenerateResponse& message) = 0;
  // Breaks off a write that does not end; OnWritten(false) follows.
  virtual void AbortWrite() = 0;
  // Exactly once, and nothing after it. No write is outstanding.
  virtual void Finish(const absl::Status& status) = 0;
};

struct GenerateCall {
  v1::GenerateRequest request;  // request_id is set
  std::chrono::system_clock::time_point deadline;
  std::optional<rpc::TraceParent> trace;
};

class WorkerCall;

class GenerateProxy final : public ActiveRequest,
                            public std::enable_shared_from_this<GenerateProxy> {
 public:
  // `sink` lives until Finish has been called on it.
  GenerateProxy(const ServiceContext& context, ClientSink& sink, GenerateCall call);

  void Start();
  void OnWritten(bool ok);
  // The client went away, or its deadline passed.
  void OnClientCancelled();

  void End(const absl::Status& status) override;
  void CheckProgress(TimePoint now) override;

 private:
  friend class WorkerCall;

  // All with the mutex held.
  absl::Status Admit();
  void PrepareAndDispatch();
  void SendToWorker(AttemptKind attempt, const absl::Status& failed_before);
  std::shared_ptr<const WorkerEndpoint> Route(AttemptKind attempt);
  v1::GenerateTokensRequest WorkerRequest() const;
  bool OnWorkerMessage(WorkerCall& call, const v1::GenerateTokensResponse& message);
  void OnWorkerEnd(WorkerCall& call, const absl::Status& status);
  bool MayRetry(const absl::Status& status) const;
  void RecordFirstToken(TimePoint now);
  void FillStart(const v1::GenerateTokensResponse& message, v1::GenerateResponse& response);
  void StopFinishedSamples();
  void FinishOk();
  void Enqueue(v1::GenerateResponse response, bool flush);
  void WriteNext();
  void EndWith(absl::Status status);
  void FinishIfIdle();
  void EndDispatch(const absl::Status& status);
  void RecordEnd();
  Duration WaitedSoFar() const;

  const ServiceContext& context_;
  ClientSink& sink_;
  const GenerateCall call_;
  const TimePoint arrived_;
  const char* const class_name_;

  std::mutex mutex_;
  bool registered_ = false;
  std::shared_ptr<ModelPool> pool_;
  std::optional<PreparedRequest> prepared_;
  std::unique_ptr<OutputAssembler> assembler_;

  // The attempt that runs.
  std::shared_ptr<WorkerCall> worker_call_;
  std::shared_ptr<const WorkerEndpoint> endpoint_;
  std::optional<v1::RoutingDecision> explained_;
  RouteDecision decision_;
  std::optional<Dispatch> dispatch_;
  TimePoint dispatched_;
  std::vector<WorkerHandle> tried_;
  bool paused_ = false;  // the worker is not read on

  // Towards the client.
  std::deque<v1::GenerateResponse> pending_;
  size_t pending_bytes_ = 0;
  uint32_t pending_tokens_ = 0;
  bool flush_ = false;  // what is pending may go
  v1::GenerateResponse writing_;
  bool write_in_flight_ = false;
  TimePoint write_started_;
  std::optional<absl::Status> ending_;  // set once: how it ends when all is written
  bool finished_ = false;

  // For usage, metrics and the log line.
  v1::Usage usage_;
  v1::GenerationTiming timing_;
  std::optional<TimePoint> first_token_;
  TimePoint last_message_;
};

}  // namespace banyan::router
