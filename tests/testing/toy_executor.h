// A step executor whose "model" is a hash and whose "KV cache" stores token ids, and the oracle
// that knows its outputs without engine, cache or scheduler.
//
// A slot of a block stores the token and a hash of the token with everything before it. The next
// token of a sequence is a hash of all tokens read back through the block table: a stale block, a
// missed copy, a wrong table or a wrong position changes the output. Every read is checked against
// the stored chain besides.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "common/base/clock.h"
#include "worker/request/request.h"
#include "worker/request/step_executor.h"

namespace banyan::testing {

// What the toy draws from: everything that may influence a token, and nothing else.
struct ToyDraw {
  uint64_t prefix = 0;  // hash of all tokens before
  uint64_t seed = 0;
  uint32_t sample_index = 0;
  uint64_t position = 0;
  bool greedy = false;
  uint64_t penalties = 0;  // hash of adjustments, 0 without
  std::span<const TokenId> allowed;
  std::span<const TokenId> banned;
  int32_t vocabulary_size = 0;
};

uint64_t ToyMix(uint64_t a, uint64_t b);
uint64_t ToyPrefixHash(std::span<const TokenId> tokens);
TokenId ToyNextToken(const ToyDraw& draw);
float ToyLogprob(uint64_t prefix, TokenId token);

struct ToyExecutorOptions {
  int32_t num_blocks = 0;
  int32_t block_size = 16;
  int32_t vocabulary_size = 100;
  std::optional<TokenId> poison;  // a sequence that contains it gives non-finite logits
  // With a clock, a step takes base + per_token * new tokens + per_sequence * sequences.
  FakeClock* clock = nullptr;
  Duration base{0};
  Duration per_token{0};
  Duration per_sequence{0};
};

class ToyExecutor final : public worker::StepExecutor {
 public:
  explicit ToyExecutor(const ToyExecutorOptions& options);

  // Aborts when a plan is malformed or a read finds what was not written.
  absl::Status Execute(const worker::StepPlan& plan, worker::StepResult& result) override;

  // The next Execute fails with this.
  void FailNext(absl::Status status) { fail_next_ = std::move(status); }
  // Called with every plan before it runs.
  void SetPlanObserver(std::function<void(const worker::StepPlan&)> observer) {
    observer_ = std::move(observer);
  }

 private:
  struct Slot {
    TokenId token = -1;
    uint64_t chain = 0;
  };

  Slot& SlotAt(const worker::SequencePlan& sequence, int32_t position);
  uint64_t ReadPrefix(const worker::SequencePlan& sequence, int32_t num_tokens, bool& poisoned);
  void RunSequence(const worker::SequencePlan& sequence, worker::StepResult& result);
  kernels::SampledToken Sample(const worker::SamplePlan& plan, uint64_t prefix, bool poisoned);

  const ToyExecutorOptions options_;
  std::vector<Slot> slots_;  // [blocks, B]
  absl::Status fail_next_;
  std::function<void(const worker::StepPlan&)> observer_;
};

// The outputs of one sample computed from the definition alone, up to its end.
struct ToyOutput {
  std::vector<TokenId> tokens;
  worker::FinishReason finish = worker::FinishReason::kNone;
};
ToyOutput ToyOracle(const worker::Request& request, int32_t sample_index,
                    std::span<const TokenId> eos_token_ids, int32_t vocabulary_size);

}  // namespace banyan::testing
