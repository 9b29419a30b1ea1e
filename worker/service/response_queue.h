// The messages of one GenerateTokens stream that wait for the one write outstanding. New tokens
// coalesce into the last waiting message until it has about 64 KiB, so a slow reader gets few large
// messages and what is held is bounded by the request's own max_tokens. One thread at a time.
#pragma once

#include <cstddef>
#include <deque>
#include <span>

#include "banyan/v1/worker_service.pb.h"
#include "worker/request/request.h"

namespace banyan::worker {

inline constexpr size_t kResponseBytesTarget = 64u << 10;

class ResponseQueue {
 public:
  // What the first message carries besides its tokens. Nothing is sent for it alone.
  void Start(const RequestUsage& usage, const TokenLogprobs& prompt_logprobs);
  void AddTokens(std::span<const SampleUpdate> updates);
  // The last message: counters join the last tokens where these still wait.
  void End(const RequestUsage& usage, const RequestTiming& timing);
  void Clear() { messages_.clear(); }

  bool empty() const { return messages_.empty(); }
  size_t size() const { return messages_.size(); }
  v1::GenerateTokensResponse Pop();

 private:
  struct Waiting {
    v1::GenerateTokensResponse message;
    size_t bytes = 0;  // about
  };
  Waiting& Back();

  std::deque<Waiting> messages_;
  v1::GenerateTokensResponse first_;
  bool first_sent_ = false;
};

}  // namespace banyan::worker
