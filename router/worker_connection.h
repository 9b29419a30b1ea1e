// One worker by address: asks what it is, fetches its model card, joins a pool, follows its load
// and its cache, and begins again when the connection is lost.
//
//   idle -> asking -> (card) -> joined -> idle ...      refused: asked again every 30 s
//
// Tick() drives it from one thread; answers come on gRPC's threads. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "banyan/v1/cluster_service.pb.h"
#include "banyan/v1/worker_service.grpc.pb.h"
#include "common/base/clock.h"
#include "common/checkpoint/text_assets.h"
#include "router/client_stream.h"
#include "router/model_pool.h"
#include "router/routing/cache_follower.h"
#include "router/work_pool.h"

namespace banyan::router {

// Decides about workers; the registry.
class WorkerAdmission {
 public:
  virtual ~WorkerAdmission() = default;
  struct Place {
    std::shared_ptr<ModelPool> pool;
    WorkerHandle handle;
  };
  // Whether the card of this digest has to be fetched first.
  virtual bool NeedsCard(const v1::GetWorkerInfoResponse& info) = 0;
  // A card was fetched. The error says which asset is wrong.
  virtual absl::Status AddCard(const v1::GetWorkerInfoResponse& info, const TextAssets& assets) = 0;
  // FAILED_PRECONDITION: the worker cannot join, and why. Its id, if it had another one before, is
  // left to `previous`.
  virtual absl::StatusOr<Place> Admit(const v1::GetWorkerInfoResponse& info,
                                      const std::string& address, const std::string& pool_label,
                                      const std::optional<Place>& previous) = 0;
  virtual void OnResync(ModelPool& pool, const std::string& worker_id, ResyncCause cause) = 0;
};

class WorkerConnection : public std::enable_shared_from_this<WorkerConnection> {
 public:
  // What all connections of a router share; outlives them.
  struct Shared {
    uint64_t router_id = 0;
    const Clock& clock;
    WorkerAdmission& admission;
    WorkPool& work_pool;
    PendingOperations& pending;
    std::function<std::shared_ptr<v1::WorkerService::StubInterface>(const std::string& address)>
        connect;
  };

  WorkerConnection(Shared& shared, std::string address, std::string pool_label);

  // Starts what is due. Call it every 100 ms or so.
  void Tick();
  // Ends all calls for good; the worker leaves its pool.
  void Close();

  const std::string& address() const { return address_; }
  // Empty until it has answered once.
  std::string worker_id() const;
  std::optional<WorkerAdmission::Place> place() const;
  std::shared_ptr<v1::WorkerService::StubInterface> stub() const;
  // As operators see it.
  v1::Worker Describe() const;
  // True once after a connection was lost: discovery then looks again at once.
  bool TakeLost();

 private:
  enum class State { kIdle, kAsking, kJoined, kRefused, kClosed };

  void Ask();
  void OnInfo(uint64_t session, const grpc::Status& status);
  void FetchCard(uint64_t session);
  void OnCard(uint64_t session, const TextAssets& assets);
  void Join(uint64_t session);
  void WatchLoad(uint64_t session);
  void WatchCache(uint64_t session);
  void OnCacheEnd(uint64_t session);
  void SendProbe();
  void Refuse(uint64_t session, const std::string& reason);
  void Lose(uint64_t session, const std::string& reason);
  bool Current(uint64_t session) const;

  Shared& shared_;
  const std::string address_;
  const std::string pool_label_;

  mutable std::mutex mutex_;
  State state_ = State::kIdle;
  uint64_t session_ = 0;  // one per attempt; answers to an older one are dropped
  TimePoint next_attempt_;
  int num_failures_ = 0;
  bool lost_ = false;
  std::string reason_ = "not connected yet";
  std::shared_ptr<v1::WorkerService::StubInterface> stub_;
  std::optional<v1::GetWorkerInfoResponse> info_;
  std::optional<v1::WatchLoadResponse> load_;
  std::optional<WorkerAdmission::Place> place_;
  CallHandle call_;  // asking or fetching the card
  CallHandle load_call_;
  CallHandle cache_call_;
  // The cache's side; used by the cache stream only, one stream at a time.
  std::unique_ptr<CacheStore> store_;
  std::unique_ptr<CacheFollower> follower_;
  uint64_t joined_epoch_ = 0;  // of the process that the follower follows
  bool cache_open_ = false;
  TimePoint next_cache_attempt_;
};

}  // namespace banyan::router
