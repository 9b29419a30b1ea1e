// Engine and model together on SmolLM2-135M-Instruct (Apache-2.0): in
// bfloat16 the same tokens under every configuration, in float32 the greedy tokens of Hugging Face
// Transformers (tests/golden/smollm2).
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/testing/model_path.h"
#include "tests/worker/engine/model_engine_fixture.h"
#include "tests/worker/model/smollm2_prompts.h"

namespace banyan::worker::testing {
namespace {

const TestBackend* FloatBackend() {
  for (const TestBackend& backend : TestBackends()) {
    if (backend.name != "reference") return &backend;
  }
  return nullptr;
}

class EngineSmolLm2Test : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::filesystem::path path = banyan::testing::DefaultModelPath();
    ASSERT_TRUE(std::filesystem::exists(path))
        << path << ": deploy/toolchain/fetch_model.py fetches it";
    ASSERT_FALSE(FastBFloat16Backends().empty());
    auto checkpoint = Checkpoint::Open(path);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    checkpoint_ = *std::move(checkpoint);
    for (const SmolLm2Prompt& prompt : ReadSmolLm2Prompts()) {
      const bool used = prompt.name == "chat_capital" || prompt.name == "chat_system" ||
                        prompt.name == "raw_code";
      if (used) prompts_.push_back(prompt);
    }
    ASSERT_EQ(prompts_.size(), 3u);
  }

  // Each prompt greedily, and in two samples with penalties.
  std::vector<Request> Workload(int32_t max_tokens) const {
    std::vector<Request> requests;
    for (const SmolLm2Prompt& prompt : prompts_) {
      for (const float temperature : {0.0f, 0.8f}) {
        Request request;
        request.id = std::to_string(requests.size());
        request.prompt = prompt.ids;
        request.sampling.temperature = temperature;
        request.sampling.max_tokens = max_tokens;
        request.sampling.seed = 7;
        if (temperature > 0) {
          request.sampling.num_samples = 2;
          request.sampling.frequency_penalty = 0.3f;
          request.sampling.repetition_penalty = 1.1f;
        }
        requests.push_back(request);
      }
    }
    return requests;
  }

  std::unique_ptr<Checkpoint> checkpoint_;
  std::vector<SmolLm2Prompt> prompts_;
};

TEST_F(EngineSmolLm2Test, BFloat16SaysTheSameUnderEveryConfiguration) {
  ModelEngineFixture fixture(FastBFloat16Backends().front(), *checkpoint_);
  EngineOptions options = fixture.options();
  const std::vector<Request> requests = Workload(24);
  const ModelOutputs expected = fixture.Run(options, requests);

  EXPECT_EQ(fixture.Run(options, requests, ModelArrival::kOneByOne), expected) << "cached, alone";
  EXPECT_GT(fixture.stats().prefix_hit_tokens, 0u);

  EngineOptions chunked = options;
  chunked.prefix_cache = false;
  chunked.max_running_sequences = 16;
  chunked.max_step_tokens = 17;
  EXPECT_EQ(fixture.Run(chunked, requests), expected) << "chunked, no prefix cache";

  uint64_t num_preemptions = 0;
  for (const int32_t num_blocks : {10, 12, 14}) {
    EngineOptions small = options;
    small.num_blocks = num_blocks;
    EXPECT_EQ(fixture.Run(small, requests), expected) << num_blocks << " blocks";
    num_preemptions += fixture.stats().preemptions;
  }
  EXPECT_GT(num_preemptions, 0u);

  constexpr size_t kCut = 9;
  std::vector<Request> resumed;
  ModelOutputs rest;
  for (size_t i = 0; i < requests.size(); ++i) {
    resumed.push_back(ResumedAfter(requests[i], expected[i], kCut));
    rest.push_back(RestAfter(expected[i], kCut));
  }
  EXPECT_EQ(fixture.Run(options, resumed), rest) << "resumed";
}

TEST_F(EngineSmolLm2Test, GreedyTokensInFloat32AreThoseOfTransformers) {
  ASSERT_NE(FloatBackend(), nullptr);
  ModelEngineFixture fixture(*FloatBackend(), *checkpoint_);
  std::vector<Request> requests;
  for (const SmolLm2Prompt& prompt : {prompts_[0], prompts_[2]}) {
    Request request;
    request.id = prompt.name;
    request.prompt = prompt.ids;
    request.sampling.temperature = 0;
    request.sampling.ignore_eos = true;
    request.sampling.max_tokens = static_cast<int32_t>(prompt.greedy.size());
    requests.push_back(request);
  }
  const ModelOutputs outputs = fixture.Run(fixture.options(), requests);
  EXPECT_EQ(outputs[0][0], prompts_[0].greedy);
  EXPECT_EQ(outputs[1][0], prompts_[2].greedy);
}

}  // namespace
}  // namespace banyan::worker::testing
