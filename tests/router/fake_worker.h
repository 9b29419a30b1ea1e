// A worker in this process: WorkerService on a loopback port with scripted behaviour. Its "model"
// answers with a given text, byte by byte. Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "banyan/v1/worker_service.grpc.pb.h"
#include "common/rpc/health.h"
#include "common/rpc/server.h"

namespace banyan::router {

class FakeWorker final : public v1::WorkerService::Service {
 public:
  struct Script {
    std::string text = "hello";  // the answer, a token per byte, then the end token
    int tokens_per_message = 1;
    uint32_t cached_tokens = 0;
    // Ends the stream with `status` after this many tokens; absent: at the end, OK.
    std::optional<int> fail_after_tokens = {};
    grpc::Status status = grpc::Status::OK;
    // Waits for Release() before it sends the first token.
    bool hold = false;
    // Goes on with the answer for ever.
    bool endless = false;
    // Skips one output position, which breaks the protocol.
    bool skip_position = false;
  };

  explicit FakeWorker(std::string id, std::string model = "m", uint16_t port = 0)
      : id_(std::move(id)), model_(std::move(model)) {
    StartServer(port);
  }
  ~FakeWorker() override { Stop(); }

  std::string address() const { return address_; }
  const std::string& id() const { return id_; }
  // Ends the process, as far as a router can tell.
  void Stop();
  // The same address and id, another epoch and an empty cache.
  void Restart();

  void SetScript(Script script);
  void Release();
  void SetCardDigest(std::string digest) { card_seed_ = std::move(digest); }
  void SetBlockSize(uint32_t block_size) { block_size_ = block_size; }
  void SetState(v1::WorkerState state) { state_ = state; }
  void StopReports() { reports_ = false; }
  // The cache's content becomes these blocks (a chain from the start of a prompt).
  void StoreChain(const std::string& hashes);
  // Sends a delta with a gap before it.
  void SkipCacheSequence() { ++cache_sequence_; }

  std::vector<v1::GenerateTokensRequest> requests() const;
  size_t num_requests() const { return requests().size(); }
  int num_cancelled() const { return num_cancelled_; }
  int num_stopped_samples() const { return num_stopped_samples_; }
  int num_snapshots() const { return num_snapshots_; }
  int num_tokens_sent() const { return num_tokens_sent_; }
  std::string last_traceparent() const;
  std::chrono::system_clock::time_point last_deadline() const { return last_deadline_; }

  grpc::Status GenerateTokens(grpc::ServerContext* context,
                              const v1::GenerateTokensRequest* request,
                              grpc::ServerWriter<v1::GenerateTokensResponse>* writer) override;
  grpc::Status StopSamples(grpc::ServerContext* context, const v1::StopSamplesRequest* request,
                           v1::StopSamplesResponse* response) override;
  grpc::Status GetWorkerInfo(grpc::ServerContext* context, const v1::GetWorkerInfoRequest* request,
                             v1::GetWorkerInfoResponse* response) override;
  grpc::Status GetModelCard(grpc::ServerContext* context, const v1::GetModelCardRequest* request,
                            grpc::ServerWriter<v1::GetModelCardResponse>* writer) override;
  grpc::Status WatchLoad(grpc::ServerContext* context, const v1::WatchLoadRequest* request,
                         grpc::ServerWriter<v1::WatchLoadResponse>* writer) override;
  grpc::Status WatchCache(grpc::ServerContext* context, const v1::WatchCacheRequest* request,
                          grpc::ServerWriter<v1::WatchCacheResponse>* writer) override;
  grpc::Status Drain(grpc::ServerContext* context, const v1::DrainRequest* request,
                     grpc::ServerWriter<v1::DrainResponse>* writer) override;

 private:
  // One sample's way through the script.
  struct Sample {
    uint32_t index = 0;
    uint32_t position = 0;
    bool finished = false;
  };

  void StartServer(uint16_t port);
  bool Waits(grpc::ServerContext* context);
  bool SendRound(const Script& script, const v1::GenerateTokensRequest& request, bool first,
                 std::vector<Sample>& samples,
                 grpc::ServerWriter<v1::GenerateTokensResponse>* writer);
  void FillSample(const Script& script, const v1::GenerateTokensRequest& request, Sample& sample,
                  v1::SampleTokens& out);
  bool Stopped(const std::string& request_id, uint32_t index) const;

  const std::string id_;
  const std::string model_;
  std::string address_;
  rpc::HealthBoard board_;
  std::unique_ptr<grpc::Server> server_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool released_ = false;
  Script script_;
  std::vector<v1::GenerateTokensRequest> requests_;
  std::set<std::pair<std::string, uint32_t>> stopped_;
  std::string traceparent_;
  std::vector<std::string> chains_;  // stored, in order
  std::atomic<uint64_t> cache_sequence_ = 0;

  std::string card_seed_ = "card";
  std::atomic<uint32_t> block_size_ = 4;
  std::atomic<uint64_t> epoch_ = 1;
  std::atomic<uint64_t> heartbeats_ = 0;
  std::atomic<uint64_t> dispatch_seen_ = 0;
  std::atomic<v1::WorkerState> state_ = v1::WORKER_STATE_SERVING;
  std::atomic<bool> reports_ = true;
  std::atomic<int> num_cancelled_ = 0;
  std::atomic<int> num_stopped_samples_ = 0;
  std::atomic<int> num_snapshots_ = 0;
  std::atomic<int> num_tokens_sent_ = 0;
  std::atomic<std::chrono::system_clock::time_point> last_deadline_{};
};

}  // namespace banyan::router
