// An engine over the toy executor, as the tests of this folder use it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/testing/recording_sink.h"
#include "tests/testing/toy_executor.h"
#include "worker/engine/engine.h"

namespace banyan::worker {

class EngineFixture {
 public:
  static EngineOptions SmallOptions() {
    EngineOptions options;
    options.block_size = 4;
    options.num_blocks = 64;
    options.context_length = 200;
    options.vocabulary_size = 101;
    options.max_step_tokens = 32;
    options.max_running_sequences = 8;
    options.max_waiting_requests = 64;
    options.num_samples_max = 8;
    options.eos_token_ids = {7};
    return options;
  }

  explicit EngineFixture(const EngineOptions& options = SmallOptions())
      : options_(options), executor_(ToyOptions(options)) {
    engine_ = *Engine::Create(options, executor_, clock_);
  }

  // `num_prompt` tokens that depend on `salt` from token `shared` on; before it all are alike.
  static std::vector<TokenId> Prompt(int32_t num_prompt, int32_t salt, int32_t shared = 0) {
    std::vector<TokenId> tokens;
    for (int32_t i = 0; i < num_prompt; ++i) {
      tokens.push_back(10 + (i < shared ? i * 7 : i * 7 + salt * 13 + 1) % 80);
    }
    return tokens;
  }

  static Request MakeRequest(std::string id, std::vector<TokenId> prompt, int32_t max_tokens) {
    Request request;
    request.id = std::move(id);
    request.prompt = std::move(prompt);
    request.sampling.max_tokens = max_tokens;
    request.sampling.ignore_eos = true;
    request.sampling.seed = 11;
    return request;
  }

  std::shared_ptr<testing::RecordingSink> Submit(const Request& request) {
    auto sink = std::make_shared<testing::RecordingSink>();
    const absl::Status status = engine_->Submit(request, sink);
    BANYAN_CHECK(status.ok()) << status.ToString();
    return sink;
  }

  // Turns until nothing is computed any more, checking invariants; returns the number of steps.
  int Run(int num_steps_max = 10'000) {
    for (int step = 0; step < num_steps_max; ++step) {
      if (!StepOnce()) return step;
    }
    BANYAN_CHECK(false) << "the engine does not come to rest";
    return num_steps_max;
  }

  bool StepOnce() {
    const absl::StatusOr<bool> computed = engine_->Step();
    BANYAN_CHECK(computed.ok()) << computed.status().ToString();
    engine_->CheckInvariants();
    clock_.Advance(std::chrono::milliseconds(1));
    return *computed;
  }

  std::vector<TokenId> Expected(const Request& request, int32_t sample = 0) const {
    return testing::ToyOracle(request, sample, options_.eos_token_ids, options_.vocabulary_size - 1)
        .tokens;
  }

  Engine& engine() { return *engine_; }
  testing::ToyExecutor& executor() { return executor_; }
  FakeClock& clock() { return clock_; }

 private:
  static testing::ToyExecutorOptions ToyOptions(const EngineOptions& options) {
    testing::ToyExecutorOptions toy;
    toy.num_blocks = options.num_blocks;
    toy.block_size = options.block_size;
    toy.vocabulary_size = options.vocabulary_size - 1;
    toy.poison = options.vocabulary_size - 1;  // a prompt may hold it, it is never drawn
    return toy;
  }

  FakeClock clock_;
  const EngineOptions options_;
  testing::ToyExecutor executor_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace banyan::worker
