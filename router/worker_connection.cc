#include "router/worker_connection.h"

#include <algorithm>
#include <random>
#include <utility>

#include "common/base/log.h"
#include "common/rpc/errors.h"
#include "router/card_fetch.h"
#include "router/wire_conversion.h"

namespace banyan::router {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kAskTimeout = seconds(5);
constexpr Duration kCardTimeout = seconds(60);
constexpr Duration kRetryMin = milliseconds(100);
constexpr Duration kRetryMax = seconds(5);
constexpr Duration kRefusedRetry = seconds(30);
constexpr Duration kResyncDelay = seconds(5);
constexpr uint32_t kLoadIntervalMs = 20;
constexpr Duration kProbeTimeout = seconds(2);

std::chrono::system_clock::time_point DeadlineIn(Duration time) {
  return std::chrono::system_clock::now() +
         std::chrono::duration_cast<std::chrono::system_clock::duration>(time);
}

// Spreads what many routers would do at the same moment: 0.75 to 1.25 of `delay`.
Duration Jittered(Duration delay) {
  thread_local std::minstd_rand random(std::random_device{}());
  return delay * 3 / 4 + delay / 2 * static_cast<int64_t>(random() % 1024) / 1024;
}

}  // namespace

WorkerConnection::WorkerConnection(Shared& shared, std::string address, std::string pool_label)
    : shared_(shared), address_(std::move(address)), pool_label_(std::move(pool_label)) {}

void WorkerConnection::Tick() {
  const TimePoint now = shared_.clock.Now();
  bool ask = false;
  bool watch_cache = false;
  uint64_t session = 0;
  std::optional<WorkerAdmission::Place> place;
  {
    const std::lock_guard lock(mutex_);
    ask = (state_ == State::kIdle || state_ == State::kRefused) && now >= next_attempt_;
    watch_cache = state_ == State::kJoined && !cache_open_ && now >= next_cache_attempt_;
    if (watch_cache) {
      cache_open_ = true;
      next_cache_attempt_ = now + Jittered(kResyncDelay);
    }
    if (state_ == State::kJoined) place = place_;
    session = session_;
  }
  if (ask) Ask();
  if (watch_cache) WatchCache(session);
  if (place.has_value() && place->pool->routing().TakeProbe(place->handle, now)) SendProbe();
}

bool WorkerConnection::Current(uint64_t session) const {
  return session == session_ && state_ != State::kClosed;
}

void WorkerConnection::Ask() {
  uint64_t session = 0;
  auto context = std::make_shared<grpc::ClientContext>();
  std::shared_ptr<v1::WorkerService::StubInterface> stub;
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::kClosed) return;
    state_ = State::kAsking;
    session = ++session_;
    if (stub_ == nullptr) stub_ = shared_.connect(address_);
    stub = stub_;
    call_ = context;
  }
  context->set_deadline(DeadlineIn(kAskTimeout));
  // The channel is still connecting, or in its back-off: wait for it within the deadline.
  context->set_wait_for_ready(true);
  struct Call {
    v1::GetWorkerInfoRequest request;
    v1::GetWorkerInfoResponse response;
  };
  auto call = std::make_shared<Call>();
  shared_.pending.Begin();
  stub->async()->GetWorkerInfo(
      context.get(), &call->request, &call->response,
      [self = shared_from_this(), session, context, call](grpc::Status status) {
        {
          const std::lock_guard lock(self->mutex_);
          if (self->Current(session) && status.ok()) self->info_ = call->response;
        }
        self->OnInfo(session, status);
        self->shared_.pending.End();
      });
}

void WorkerConnection::OnInfo(uint64_t session, const grpc::Status& status) {
  if (!status.ok()) return Lose(session, "not reachable: " + status.error_message());
  v1::GetWorkerInfoResponse info;
  {
    const std::lock_guard lock(mutex_);
    if (!Current(session)) return;
    info = *info_;
  }
  if (shared_.admission.NeedsCard(info)) return FetchCard(session);
  Join(session);
}

void WorkerConnection::FetchCard(uint64_t session) {
  auto context = std::make_shared<grpc::ClientContext>();
  context->set_deadline(DeadlineIn(kCardTimeout));
  std::shared_ptr<v1::WorkerService::StubInterface> stub;
  std::string digest;
  {
    const std::lock_guard lock(mutex_);
    if (!Current(session)) return;
    call_ = context;
    stub = stub_;
    digest = info_->model_card_digest();
  }
  shared_.pending.Begin();
  router::FetchCard(*stub, context, digest,
                    [self = shared_from_this(), session](absl::StatusOr<TextAssets> assets) {
                      if (!assets.ok()) {
                        self->Lose(session, std::string(assets.status().message()));
                        return self->shared_.pending.End();
                      }
                      auto shared_assets = std::make_shared<TextAssets>(*std::move(assets));
                      const bool queued =
                          self->shared_.work_pool.Submit([self, session, shared_assets] {
                            self->OnCard(session, *shared_assets);
                            self->shared_.pending.End();
                          });
                      if (queued) return;
                      self->Lose(session, "the router is too busy to load its model card");
                      self->shared_.pending.End();
                    });
}

void WorkerConnection::OnCard(uint64_t session, const TextAssets& assets) {
  v1::GetWorkerInfoResponse info;
  {
    const std::lock_guard lock(mutex_);
    if (!Current(session)) return;
    info = *info_;
  }
  const absl::Status status = shared_.admission.AddCard(info, assets);
  if (!status.ok()) return Refuse(session, std::string(status.message()));
  Join(session);
}

void WorkerConnection::Join(uint64_t session) {
  v1::GetWorkerInfoResponse info;
  std::optional<WorkerAdmission::Place> previous;
  bool same_place = false;
  {
    const std::lock_guard lock(mutex_);
    if (!Current(session)) return;
    info = *info_;
    previous = place_;
  }
  auto place = shared_.admission.Admit(info, address_, pool_label_, previous);
  if (!place.ok()) return Refuse(session, std::string(place.status().message()));
  {
    const std::lock_guard lock(mutex_);
    if (!Current(session)) {
      place->pool->routing().RemoveWorker(place->handle);
      return;
    }
    same_place =
        previous.has_value() && previous->pool == place->pool && previous->handle == place->handle;
    place_ = *place;
    state_ = State::kJoined;
    num_failures_ = 0;
    reason_.clear();
    if (!same_place || info.epoch() != joined_epoch_) {
      store_ = place->pool->routing().NewCacheStore(place->handle, shared_.clock);
      follower_ = std::make_unique<CacheFollower>(info.num_kv_blocks(), *store_);
    }
    joined_epoch_ = info.epoch();
    cache_open_ = false;
    next_cache_attempt_ = TimePoint();
  }
  place->pool->AddEndpoint(place->handle,
                           std::make_shared<WorkerEndpoint>(WorkerEndpoint{
                               info.worker_id(), address_, info.model_fingerprint(), stub()}));
  place->pool->routing().OnConnected(place->handle, shared_.clock.Now());
  if (same_place) {
    shared_.admission.OnResync(*place->pool, info.worker_id(), ResyncCause::kReconnect);
  }
  Log(LogSeverity::kInfo, "worker_joined")
      .Field("worker", info.worker_id())
      .Field("address", address_)
      .Field("model", info.model())
      .Field("pool", place->pool->label());
  WatchLoad(session);
}

void WorkerConnection::WatchLoad(uint64_t session) {
  auto context = std::make_shared<grpc::ClientContext>();
  std::shared_ptr<v1::WorkerService::StubInterface> stub;
  WorkerAdmission::Place place;
  {
    const std::lock_guard lock(mutex_);
    if (!Current(session)) return;
    load_call_ = context;
    stub = stub_;
    place = *place_;
  }
  v1::WatchLoadRequest request;
  request.set_router_id(shared_.router_id);
  request.set_interval_ms(kLoadIntervalMs);
  shared_.pending.Begin();
  ClientStream<v1::WatchLoadResponse>::Start(
      context, request,
      [stub](grpc::ClientContext* ctx, const v1::WatchLoadRequest* wanted, auto* reactor) {
        stub->async()->WatchLoad(ctx, wanted, reactor);
      },
      [self = shared_from_this(), session, place](const v1::WatchLoadResponse& message) {
        {
          const std::lock_guard lock(self->mutex_);
          if (!self->Current(session)) return false;
          // Another process behind the same address: all that was known is void.
          if (message.epoch() != self->info_->epoch()) return false;
          self->load_ = message;
        }
        place.pool->routing().OnLoadReport(place.handle, ToLoadReport(message),
                                           self->shared_.clock.Now());
        return true;
      },
      [self = shared_from_this(), session](const grpc::Status& status) {
        self->Lose(session, "load reports ended: " + status.error_message());
        self->shared_.pending.End();
      });
}

void WorkerConnection::WatchCache(uint64_t session) {
  auto context = std::make_shared<grpc::ClientContext>();
  std::shared_ptr<v1::WorkerService::StubInterface> stub;
  v1::WatchCacheRequest request;
  {
    const std::lock_guard lock(mutex_);
    if (!Current(session)) return;
    cache_call_ = context;
    stub = stub_;
    const CacheFollower::Position from = follower_->BeginStream();
    request.set_epoch(from.epoch);
    request.set_next_sequence(from.next_sequence);
  }
  shared_.pending.Begin();
  ClientStream<v1::WatchCacheResponse>::Start(
      context, request,
      [stub](grpc::ClientContext* ctx, const v1::WatchCacheRequest* wanted, auto* reactor) {
        stub->async()->WatchCache(ctx, wanted, reactor);
      },
      [self = shared_from_this(), session](const v1::WatchCacheResponse& message) {
        std::optional<ResyncCause> cause;
        WorkerAdmission::Place place;
        std::string worker_id;
        {
          const std::lock_guard lock(self->mutex_);
          if (!self->Current(session)) return false;
          cause = self->follower_->Apply(ToCacheEventView(message));
          if (!cause.has_value()) return true;
          place = *self->place_;
          worker_id = self->info_->worker_id();
        }
        self->shared_.admission.OnResync(*place.pool, worker_id, *cause);
        return false;
      },
      [self = shared_from_this(), session](const grpc::Status&) {
        self->OnCacheEnd(session);
        self->shared_.pending.End();
      });
}

void WorkerConnection::OnCacheEnd(uint64_t session) {
  const std::lock_guard lock(mutex_);
  if (!Current(session)) return;
  cache_open_ = false;
}

void WorkerConnection::SendProbe() {
  auto context = std::make_shared<grpc::ClientContext>();
  context->set_deadline(DeadlineIn(kProbeTimeout));
  v1::GenerateTokensRequest request;
  WorkerAdmission::Place place;
  std::shared_ptr<v1::WorkerService::StubInterface> stub;
  {
    const std::lock_guard lock(mutex_);
    if (state_ != State::kJoined) return;
    place = *place_;
    stub = stub_;
    request.set_model_fingerprint(info_->model_fingerprint());
  }
  request.set_request_id("probe-" + std::to_string(shared_.router_id) + "-" +
                         std::to_string(shared_.clock.Now().time_since_epoch().count()));
  request.set_router_id(shared_.router_id);
  request.add_prompt_token_ids(0);
  request.mutable_sampling()->set_temperature(0);
  request.mutable_sampling()->set_max_tokens(1);
  request.mutable_sampling()->set_seed(1);
  request.set_priority(v1::PRIORITY_REALTIME);
  request.set_cache_salt(BlockHash{}.ToBytes());
  shared_.pending.Begin();
  ClientStream<v1::GenerateTokensResponse>::Start(
      context, std::move(request),
      [stub](grpc::ClientContext* ctx, const v1::GenerateTokensRequest* wanted, auto* reactor) {
        stub->async()->GenerateTokens(ctx, wanted, reactor);
      },
      [](const v1::GenerateTokensResponse&) { return true; },
      [self = shared_from_this(), place](const grpc::Status& status) {
        place.pool->routing().OnProbe(place.handle, status.ok(), self->shared_.clock.Now());
        self->shared_.pending.End();
      });
}

void WorkerConnection::Refuse(uint64_t session, const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    if (!Current(session)) return;
    state_ = State::kRefused;
    reason_ = "refused: " + reason;
    next_attempt_ = shared_.clock.Now() + kRefusedRetry;
    // What it was before, it is no longer.
    if (place_.has_value()) {
      place_->pool->routing().RemoveWorker(place_->handle);
      place_->pool->RemoveEndpoint(place_->handle);
      place_.reset();
    }
  }
  Log(LogSeverity::kError, "worker_refused").Field("address", address_).Field("reason", reason);
}

void WorkerConnection::Lose(uint64_t session, const std::string& reason) {
  std::optional<WorkerAdmission::Place> place;
  CallHandle cache_call;
  {
    const std::lock_guard lock(mutex_);
    if (!Current(session)) return;
    const bool was_joined = state_ == State::kJoined;
    ++session_;
    state_ = State::kIdle;
    reason_ = reason;
    Duration delay = kRetryMin;
    for (int i = 0; i < num_failures_ && delay < kRetryMax; ++i) delay *= 2;
    ++num_failures_;
    next_attempt_ = shared_.clock.Now() + Jittered(std::min(delay, kRetryMax));
    load_.reset();
    if (!was_joined) return;
    lost_ = true;
    place = place_;
    cache_call = cache_call_;
  }
  if (cache_call != nullptr) cache_call->TryCancel();
  place->pool->routing().OnConnectionLost(place->handle, shared_.clock.Now());
  Log(LogSeverity::kWarning, "worker_lost")
      .Field("worker", worker_id())
      .Field("address", address_)
      .Field("reason", reason);
}

void WorkerConnection::Close() {
  CallHandle calls[3];
  std::optional<WorkerAdmission::Place> place;
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::kClosed) return;
    state_ = State::kClosed;
    calls[0] = call_;
    calls[1] = load_call_;
    calls[2] = cache_call_;
    place = place_;
  }
  for (const CallHandle& call : calls) {
    if (call != nullptr) call->TryCancel();
  }
  if (!place.has_value()) return;
  place->pool->RemoveEndpoint(place->handle);
  place->pool->routing().RemoveWorker(place->handle);
}

std::string WorkerConnection::worker_id() const {
  const std::lock_guard lock(mutex_);
  return info_.has_value() ? info_->worker_id() : std::string();
}

std::optional<WorkerAdmission::Place> WorkerConnection::place() const {
  const std::lock_guard lock(mutex_);
  return place_;
}

std::shared_ptr<v1::WorkerService::StubInterface> WorkerConnection::stub() const {
  const std::lock_guard lock(mutex_);
  return stub_;
}

bool WorkerConnection::TakeLost() {
  const std::lock_guard lock(mutex_);
  return std::exchange(lost_, false);
}

v1::Worker WorkerConnection::Describe() const {
  v1::Worker worker;
  std::optional<WorkerAdmission::Place> place;
  {
    const std::lock_guard lock(mutex_);
    if (info_.has_value()) *worker.mutable_info() = *info_;
    worker.set_address(address_);
    worker.set_pool(pool_label_);
    if (load_.has_value()) *worker.mutable_load() = *load_;
    worker.set_cache_in_sync(state_ == State::kJoined && follower_ != nullptr &&
                             follower_->in_sync());
    worker.set_health_reason(reason_);
    worker.set_health(state_ == State::kRefused ? v1::WORKER_HEALTH_EJECTED
                                                : v1::WORKER_HEALTH_CONNECTING);
    place = place_;
  }
  if (!place.has_value()) return worker;
  const WorkerStatus status = place->pool->routing().Status(place->handle, shared_.clock.Now());
  worker.set_health(ToWire(status.health));
  if (!status.health_reason.empty() && worker.health_reason().empty()) {
    worker.set_health_reason(status.health_reason);
  }
  worker.set_load_age_us(static_cast<uint64_t>(ToMicroseconds(status.load_age)));
  worker.set_active_streams(status.active_streams);
  worker.set_tree_blocks(status.tree_blocks);
  return worker;
}

}  // namespace banyan::router
