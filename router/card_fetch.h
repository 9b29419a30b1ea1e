// Fetches a worker's model card: its text assets, piece by piece, checked against their digests.
// Thread-safe.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "banyan/v1/worker_service.grpc.pb.h"
#include "common/checkpoint/text_assets.h"
#include "router/client_stream.h"

namespace banyan::router {

// `done` comes exactly once, on a gRPC thread. `digest` is the one the worker announced; a card
// that has another one is INTERNAL.
void FetchCard(v1::WorkerService::StubInterface& stub, CallHandle context, std::string digest,
               std::function<void(absl::StatusOr<TextAssets>)> done);

}  // namespace banyan::router
