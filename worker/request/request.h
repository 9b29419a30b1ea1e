// A request as the engine knows it: token ids, no text. Plain data; validated before it reaches the
// engine.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/block_hash.h"
#include "common/base/clock.h"
#include "common/base/token.h"

namespace banyan::worker {

// Scheduling class, most urgent first. Weights 16:4:1 with ageing: none starves.
enum class Priority : uint8_t { kRealtime = 0, kInteractive = 1, kBatch = 2 };
inline constexpr int kNumPriorities = 3;

enum class FinishReason : uint8_t { kNone, kStop, kLength };

// Semantics, ranges and order of work: proto/banyan/v1/sampling.proto. All defaults are resolved.
struct SamplingParams {
  float temperature = 1;
  float top_p = 1;
  int32_t top_k = 0;
  float min_p = 0;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  float repetition_penalty = 1;
  std::vector<std::pair<TokenId, float>> logit_bias;  // ids ascending
  std::vector<TokenId> allowed_token_ids;             // ids ascending; empty: all
  int32_t max_tokens = 16;
  int32_t min_tokens = 0;
  std::vector<TokenId> stop_token_ids;  // besides the model's end tokens
  bool ignore_eos = false;
  uint64_t seed = 0;
  int32_t num_samples = 1;
  std::optional<int32_t> num_logprobs;
  std::optional<int32_t> num_prompt_logprobs;
};

// Tokens that a sample already has when the request continues one that ran elsewhere.
struct SampleProgress {
  std::vector<TokenId> output;
  bool finished = false;
};

struct Request {
  std::string id;
  std::vector<TokenId> prompt;
  SamplingParams sampling;
  Priority priority = Priority::kInteractive;
  BlockHash cache_salt;                // parent of the first block
  Duration waited{0};                  // in the router; counts for ageing
  std::optional<Duration> max_queue;   // wait allowed here before the first step
  std::optional<TimePoint> deadline;   // of the whole request
  std::vector<SampleProgress> resume;  // empty, or one per sample
  std::optional<int32_t> resumed_cached_tokens;
};

// Log-probabilities of consecutive tokens; columns as in proto TokenLogprobs.
struct TokenLogprobs {
  int32_t num_top = 0;
  std::vector<TokenId> tokens;
  std::vector<float> logprobs;
  std::vector<TokenId> top_tokens;  // [tokens x num_top]
  std::vector<float> top_logprobs;  // [tokens x num_top]
};

// New tokens of one sample.
struct SampleUpdate {
  int32_t index = 0;
  int32_t first_position = 0;  // output position of tokens[0], resumed tokens counted
  std::vector<TokenId> tokens;
  TokenLogprobs logprobs;  // with num_logprobs: one row per token
  FinishReason finish_reason = FinishReason::kNone;
  std::optional<TokenId>
      stop_token;  // set where a stop or end token ended the sample; last of tokens
};

struct RequestUsage {
  int32_t prompt_tokens = 0;
  int32_t cached_tokens = 0;
  int32_t completion_tokens = 0;  // of all samples
  int32_t drafted_tokens = 0;
  int32_t accepted_draft_tokens = 0;
};

struct RequestTiming {
  Duration queue{0};
  Duration prefill{0};
  Duration decode{0};
  int32_t num_preemptions = 0;
};

}  // namespace banyan::worker
