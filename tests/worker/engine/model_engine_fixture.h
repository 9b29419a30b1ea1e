// A real model served by the real engine, as the tests of this folder compare it with itself. One
// executor serves many engines in turn: each starts with an empty cache and writes a block before
// it reads it.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/testing/recording_sink.h"
#include "tests/worker/model/model_fixture.h"
#include "worker/engine/engine.h"
#include "worker/model/model_executor.h"

namespace banyan::worker::testing {

// Output tokens: one entry per request, one list per sample.
using ModelOutputs = std::vector<std::vector<std::vector<TokenId>>>;

enum class ModelArrival { kTogether, kOneByOne };

class ModelEngineFixture {
 public:
  static constexpr int32_t kContextLength = 512;
  static constexpr int32_t kNumBlocks = 512;
  static constexpr int32_t kStepTokens = 1024;
  static constexpr int32_t kSequences = 64;

  ModelEngineFixture(const TestBackend& backend, const Checkpoint& checkpoint)
      : backend_(backend.make()) {
    auto model = LoadModel(checkpoint, *backend_,
                           {.max_step_tokens = kStepTokens,
                            .max_sequences = kSequences,
                            .context_length = kContextLength},
                           nullptr);
    BANYAN_CHECK(model.ok()) << model.status().ToString();
    options_.num_blocks = kNumBlocks;
    options_.context_length = kContextLength;
    options_.vocabulary_size = static_cast<int32_t>(checkpoint.config().vocabulary_size);
    options_.max_step_tokens = kStepTokens;
    options_.max_running_sequences = kSequences;
    options_.eos_token_ids = checkpoint.config().eos_token_ids;
    executor_ = *ModelExecutor::Create(*std::move(model), kNumBlocks);
  }

  // What a fresh engine with `options` says to `requests`; its statistics go to stats().
  ModelOutputs Run(const EngineOptions& options, const std::vector<Request>& requests,
                   ModelArrival arrival = ModelArrival::kTogether) {
    FakeClock clock;
    std::unique_ptr<Engine> engine = *Engine::Create(options, *executor_, clock);
    std::vector<std::shared_ptr<banyan::testing::RecordingSink>> sinks;
    for (const Request& request : requests) {
      sinks.push_back(std::make_shared<banyan::testing::RecordingSink>());
      const absl::Status status = engine->Submit(request, sinks.back());
      BANYAN_CHECK(status.ok()) << status.ToString();
      if (arrival == ModelArrival::kOneByOne) RunToRest(*engine, clock);
    }
    RunToRest(*engine, clock);
    stats_ = engine->Stats();
    ModelOutputs outputs;
    for (size_t i = 0; i < sinks.size(); ++i) {
      EXPECT_TRUE(sinks[i]->finished) << requests[i].id;
      EXPECT_TRUE(sinks[i]->status.ok()) << requests[i].id << ": " << sinks[i]->status;
      std::vector<std::vector<TokenId>>& samples = outputs.emplace_back();
      samples.resize(static_cast<size_t>(requests[i].sampling.num_samples));
      for (const auto& [index, sample] : sinks[i]->samples) {
        samples[static_cast<size_t>(index)] = sample.tokens;
      }
    }
    return outputs;
  }

  const EngineOptions& options() const { return options_; }
  const EngineStats& stats() const { return stats_; }

 private:
  static void RunToRest(Engine& engine, FakeClock& clock) {
    constexpr int kStepsMax = 20'000;
    for (int step = 0; step < kStepsMax; ++step) {
      const absl::StatusOr<bool> computed = engine.Step();
      BANYAN_CHECK(computed.ok()) << computed.status().ToString();
      engine.CheckInvariants();
      clock.Advance(std::chrono::milliseconds(1));
      if (!*computed) return;
    }
    BANYAN_CHECK(false) << "the engine does not come to rest";
  }

  std::unique_ptr<kernels::Backend> backend_;
  std::unique_ptr<ModelExecutor> executor_;
  EngineOptions options_;
  EngineStats stats_;
};

// `request` continued after `cut` tokens of each sample of `full`, its whole output.
inline Request ResumedAfter(Request request, const std::vector<std::vector<TokenId>>& full,
                            size_t cut) {
  for (const std::vector<TokenId>& output : full) {
    const size_t kept = std::min(cut, output.size());
    request.resume.push_back({{output.begin(), output.begin() + static_cast<std::ptrdiff_t>(kept)},
                              kept == output.size()});
  }
  return request;
}

// What is left of each sample of `full` after `cut` tokens.
inline std::vector<std::vector<TokenId>> RestAfter(std::vector<std::vector<TokenId>> full,
                                                   size_t cut) {
  for (std::vector<TokenId>& output : full) {
    output.erase(output.begin(),
                 output.begin() + static_cast<std::ptrdiff_t>(std::min(cut, output.size())));
  }
  return full;
}

}  // namespace banyan::worker::testing
