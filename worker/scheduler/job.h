// A request while the engine has it (Job) and the sequences it computes (Sequence). Plain state of
// the scheduler; engine thread only.
//
// A sequence has three lengths and no others:
//   num_prompt()     tokens of the prompt
//   tokens.size()    tokens known: prompt and outputs
//   num_computed     tokens whose KV is in the cache
// A step computes num_new_tokens of the tokens between num_computed and tokens.size(); the step
// that reaches the end draws the next token. Prefill, decode and recomputation are that one rule.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker/cache/radix_cache.h"
#include "worker/request/request.h"
#include "worker/request/request_sink.h"
#include "worker/sampling/stop_rules.h"
#include "worker/sampling/token_history.h"

namespace banyan::worker {

struct Job;

enum class SequenceState : uint8_t { kWaiting, kRunning, kEnded };

// Invariants between steps: only a running sequence holds blocks, and exactly those that cover
// num_computed tokens; num_computed < tokens.size() unless ended.
struct Sequence {
  SequenceId id{};
  Job* job = nullptr;
  int32_t sample_index = 0;
  SequenceState state = SequenceState::kWaiting;
  std::vector<TokenId> tokens;
  int32_t num_computed = 0;
  std::vector<BlockRef> blocks;   // entry i holds tokens [i * B, (i + 1) * B)
  std::vector<BlockHash> hashes;  // of full blocks of `tokens`, as far as they were needed
  bool findable = true;           // false after a refused insert: later blocks stay private
  TokenHistory history;

  int32_t num_preemptions = 0;
  int32_t num_bypassed = 0;       // admissions that overtook it while it did not fit
  int64_t uncached_estimate = 0;  // tokens it will have to compute, as of the last look-up
  int64_t planned_step = -1;      // last step that it is part of

  explicit Sequence(TokenHistory past) : history(std::move(past)) {}

  int32_t num_tokens() const { return static_cast<int32_t>(tokens.size()); }
  int32_t remaining() const { return num_tokens() - num_computed; }
  int32_t num_prompt() const;
};

// One of the request's samples.
struct Sample {
  std::vector<TokenId> resumed;  // outputs it came with; moved into its sequence when that is made
  int32_t num_output = 0;        // resumed ones included
  FinishReason finish = FinishReason::kNone;
  bool end_reported = false;  // the sink knows (or, resumed, knew) that it has finished
};

// Invariant: before the fork there is one sequence, which computes the prompt for all samples;
// after it one per unfinished sample. A request with one unfinished sample is forked from the
// start.
struct Job {
  Job(Request taken, std::shared_ptr<RequestSink> receiver, std::span<const TokenId> eos_token_ids);

  Request request;
  std::shared_ptr<RequestSink> sink;
  StopRules rules;
  std::vector<Sample> samples;
  std::vector<std::unique_ptr<Sequence>> sequences;
  bool forked = false;
  bool started = false;  // OnStart is on its way
  bool ended = false;    // OnFinish is on its way
  TokenLogprobs prompt_logprobs;
  std::optional<int32_t> cached_tokens;  // at first admission
  int32_t num_preemptions = 0;

  TimePoint born{};       // arrival less what it waited elsewhere: its age counts from here
  TimePoint submitted{};  // here
  std::optional<TimePoint> first_step;
  std::optional<TimePoint> first_token;
  std::optional<size_t> outbox_slot;

  int32_t num_prompt() const { return static_cast<int32_t>(request.prompt.size()); }
  int32_t num_unfinished() const;
  // Prompt tokens that may come from the cache: all but those whose log-probabilities are still to
  // be computed.
  int32_t num_cacheable() const;
  RequestUsage Usage() const;
  RequestTiming Timing(TimePoint now) const;
};

inline int32_t Sequence::num_prompt() const { return job->num_prompt(); }

// Class after promotion: every second preemption lifts a sequence by one class, so that recomputing
// cannot starve it.
Priority EffectivePriority(const Sequence& sequence);
// Weight of a class at admission: 16, 4, 1.
int64_t WeightOf(Priority priority);

// Strict order of running sequences: who outranks whom when memory is short. Higher class first,
// then older, then lower id.
bool Outranks(const Sequence& a, const Sequence& b);

// Hashes all full blocks of the sequence's first `num_tokens` tokens.
void ExtendHashes(Sequence& sequence, int32_t num_tokens, int32_t block_size);

}  // namespace banyan::worker
