// What model tests share: the backends they run on, models on them, and runs of token sequences
// through a cache with the logits of every position.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/check.h"
#include "common/checkpoint/checkpoint.h"
#include "kernels/backend.h"
#include "worker/model/load_model.h"
#include "worker/model/step_batch.h"

namespace banyan::worker::testing {

// A backend to run model tests on.
struct TestBackend {
  std::string name;
  std::function<std::unique_ptr<kernels::Backend>()> make;
};
// Every backend of this build, in float32.
const std::vector<TestBackend>& TestBackends();
// Those that are fast enough for a real model, with bfloat16 activations, weights and KV.
const std::vector<TestBackend>& FastBFloat16Backends();

// Tokens [0, tokens.size()) of one sequence, cut into runs of new tokens.
struct SequenceRun {
  std::vector<TokenId> tokens;
  std::vector<BlockId> block_table;
};

// Which logits a step gives back: of every new token, or of each sequence's last one.
enum class LogitRows { kAll, kLast };

// A loaded model with backend and KV cache, driven below the executor so that logits can be seen.
class RunnableModel {
 public:
  RunnableModel(const TestBackend& backend, const Checkpoint& checkpoint, ModelOptions options,
                int32_t num_blocks);

  // Runs tokens [begin, end) of each sequence in one step, the cache holding those before.
  // Returns the logits of the rows asked for, sequence after sequence, V values each.
  std::vector<float> Step(std::span<const SequenceRun* const> sequences,
                          std::span<const int32_t> begins, std::span<const int32_t> ends,
                          LogitRows rows = LogitRows::kAll);
  // All tokens of one sequence in steps of `chunk` tokens.
  std::vector<float> Run(const SequenceRun& sequence, int32_t chunk);
  // The logits of the last token alone, computed in the same way.
  std::vector<float> RunForLast(const SequenceRun& sequence, int32_t chunk);
  // `count` tokens that follow greedily; each step computes one token.
  std::vector<TokenId> Greedy(SequenceRun sequence, int32_t count, int32_t prefill_chunk);

  int64_t vocabulary_size() const { return model_->config().vocabulary_size; }
  const Transformer& model() const { return *model_; }
  kernels::Backend& backend() { return *backend_; }

 private:
  std::unique_ptr<kernels::Backend> backend_;
  std::unique_ptr<Transformer> model_;
  std::unique_ptr<kernels::KvCache> cache_;
  std::unique_ptr<StepBatch> batch_;
};

// Blocks 0, 1, 2, ... for `num_tokens` tokens.
std::vector<BlockId> PlainTable(int64_t num_tokens, int32_t block_size);

// `count` ids that look random, the same for the same seed.
std::vector<TokenId> RandomTokens(int32_t count, int64_t vocabulary_size, uint64_t seed);

}  // namespace banyan::worker::testing
