// Where the engine delivers a request's tokens.
#pragma once

#include <span>

#include "absl/status/status.h"
#include "worker/request/request.h"

namespace banyan::worker {

// Implemented by the service (a gRPC stream) and by tests. Called on the engine thread only: calls
// must not block, and a sink bounds what it holds by the request's own max_tokens. OnFinish is
// called exactly once and nothing after it.
class RequestSink {
 public:
  virtual ~RequestSink() = default;

  // Called once, before the first OnTokens, with usage so far and prompt log-probs where asked for.
  virtual void OnStart(const RequestUsage& usage, const TokenLogprobs& prompt_logprobs) = 0;
  // New tokens of one step, at most one update per sample.
  virtual void OnTokens(std::span<const SampleUpdate> updates) = 0;
  // The request ended. OK: every sample has finished.
  virtual void OnFinish(const absl::Status& status, const RequestUsage& usage,
                        const RequestTiming& timing) = 0;
};

}  // namespace banyan::worker
