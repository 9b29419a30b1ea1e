#include "worker/service/worker_service.h"

#include <algorithm>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/log.h"
#include "common/rpc/errors.h"
#include "common/rpc/field_checks.h"
#include "worker/service/cache_watch.h"
#include "worker/service/card_stream.h"
#include "worker/service/drain_call.h"
#include "worker/service/generate_call.h"
#include "worker/service/load_watch.h"

namespace banyan::worker {
namespace {

using rpc::ErrorReason;

grpc::ServerUnaryReactor* FinishUnary(grpc::CallbackServerContext* context,
                                      const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(rpc::ToGrpcStatus(status));
  return reactor;
}

absl::Status TooManyWatchers(const char* what, int limit) {
  return rpc::Error(ErrorReason::kQueueFull,
                    absl::StrFormat("%s: too many open streams, limit %d", what, limit))
      .RetryAfter(std::chrono::seconds(1))
      .ToStatus();
}

// Takes one of `limit` places; whoever got one gives it back.
bool TakePlace(std::atomic<int>& taken, int limit) {
  if (taken.fetch_add(1) < limit) return true;
  --taken;
  return false;
}

}  // namespace

WorkerService::WorkerService(const Parts& parts)
    : service_{.engine = parts.engine,
               .identity = parts.identity,
               .card = parts.card,
               .limits = parts.limits,
               .metrics = parts.metrics,
               .hub = parts.hub,
               .clock = parts.clock} {}

void WorkerService::WaitForCalls(Duration timeout) const {
  constexpr Duration kPollPeriod = std::chrono::milliseconds(5);
  const TimePoint give_up = Clock::Real().Now() + timeout;
  while (service_.generate_calls.load() > 0 && Clock::Real().Now() < give_up) {
    std::this_thread::sleep_for(kPollPeriod);
  }
}

grpc::ServerWriteReactor<v1::GenerateTokensResponse>* WorkerService::GenerateTokens(
    grpc::CallbackServerContext* context, const v1::GenerateTokensRequest* request) {
  return GenerateCall::Start(service_, *context, *request);
}

grpc::ServerUnaryReactor* WorkerService::StopSamples(grpc::CallbackServerContext* context,
                                                     const v1::StopSamplesRequest* request,
                                                     v1::StopSamplesResponse*) {
  rpc::FieldChecks checks;
  checks.RequestId("request_id", request->request_id());
  const int num_samples_max = service_.limits.num_samples_max;
  if (request->indices().empty()) checks.Fail("indices", "empty, want at least one sample");
  std::vector<int32_t> indices;
  if (checks.CountAtMost("indices", request->indices_size(), num_samples_max, "samples")) {
    for (int i = 0; i < request->indices_size(); ++i) {
      if (checks.InRange(absl::StrFormat("indices[%d]", i), int64_t{request->indices(i)}, 0,
                         num_samples_max - 1)) {
        indices.push_back(static_cast<int32_t>(request->indices(i)));
      }
    }
  }
  if (checks.ok()) service_.engine.StopSamples(request->request_id(), indices);
  return FinishUnary(context, checks.ToStatus());
}

grpc::ServerUnaryReactor* WorkerService::EmbedTokens(grpc::CallbackServerContext* context,
                                                     const v1::EmbedTokensRequest*,
                                                     v1::EmbedTokensResponse*) {
  return FinishUnary(
      context, rpc::Error(ErrorReason::kEmbeddingsUnsupported, "this worker serves no embeddings")
                   .ToStatus());
}

grpc::ServerUnaryReactor* WorkerService::GetWorkerInfo(grpc::CallbackServerContext* context,
                                                       const v1::GetWorkerInfoRequest*,
                                                       v1::GetWorkerInfoResponse* response) {
  *response = ToWire(service_.identity);
  return FinishUnary(context, absl::OkStatus());
}

grpc::ServerWriteReactor<v1::GetModelCardResponse>* WorkerService::GetModelCard(
    grpc::CallbackServerContext*, const v1::GetModelCardRequest* request) {
  const std::vector<std::string> names(request->names().begin(), request->names().end());
  auto assets = service_.card.Select(names);
  if (!assets.ok()) return new RefusedStream<v1::GetModelCardResponse>(assets.status());
  return new CardStream(*std::move(assets));
}

grpc::ServerWriteReactor<v1::WatchLoadResponse>* WorkerService::WatchLoad(
    grpc::CallbackServerContext*, const v1::WatchLoadRequest* request) {
  rpc::FieldChecks checks;
  if (request->interval_ms() != 0) {
    checks.InRange("interval_ms", int64_t{request->interval_ms()}, kLoadIntervalMinMs,
                   kLoadIntervalMaxMs);
  }
  if (!checks.ok()) return new RefusedStream<v1::WatchLoadResponse>(checks.ToStatus());
  if (!TakePlace(service_.load_watchers, kLoadWatchersMax)) {
    return new RefusedStream<v1::WatchLoadResponse>(TooManyWatchers("WatchLoad", kLoadWatchersMax));
  }
  return (new LoadWatch(service_, *request))->Run();
}

grpc::ServerWriteReactor<v1::WatchCacheResponse>* WorkerService::WatchCache(
    grpc::CallbackServerContext*, const v1::WatchCacheRequest* request) {
  if (!TakePlace(service_.cache_watchers, kCacheWatchersMax)) {
    return new RefusedStream<v1::WatchCacheResponse>(
        TooManyWatchers("WatchCache", kCacheWatchersMax));
  }
  return (new CacheWatch(service_, *request))->Run();
}

grpc::ServerWriteReactor<v1::DrainResponse>* WorkerService::Drain(grpc::CallbackServerContext*,
                                                                  const v1::DrainRequest* request) {
  rpc::FieldChecks checks;
  checks.InRange("deadline_ms", int64_t{request->deadline_ms()}, 0, kDrainDeadlineMaxMs);
  checks.InRange("mode", int64_t{request->mode()}, v1::DRAIN_MODE_UNSPECIFIED,
                 v1::DRAIN_MODE_HAND_OVER);
  if (!checks.ok()) return new RefusedStream<v1::DrainResponse>(checks.ToStatus());
  const uint32_t deadline_ms =
      request->deadline_ms() == 0 ? kDrainDeadlineDefaultMs : request->deadline_ms();
  const bool hand_over = request->mode() == v1::DRAIN_MODE_HAND_OVER;
  const Duration wait =
      hand_over ? Duration::zero() : Duration(std::chrono::milliseconds(deadline_ms));
  Log(LogSeverity::kInfo, "drain_begins")
      .Field("mode", hand_over ? "hand_over" : "finish")
      .Field("deadline_ms", hand_over ? 0 : deadline_ms);
  DrainCall* call = new DrainCall(service_);
  service_.engine.Drain(service_.clock.Now() + wait);
  service_.hub.Wake();
  return call->Run();
}

grpc::ServerUnaryReactor* WorkerService::Undrain(grpc::CallbackServerContext* context,
                                                 const v1::UndrainRequest*, v1::UndrainResponse*) {
  Log(LogSeverity::kInfo, "undrained");
  service_.engine.Undrain();
  service_.hub.Wake();
  return FinishUnary(context, absl::OkStatus());
}

}  // namespace banyan::worker
