// SmolLM2-135M-Instruct (Apache-2.0), a real chat model, against goldens made with Hugging Face
// Transformers in float32 (tests/golden/smollm2). Skipped without the model's GGUF file
// (tests/testing/model_path.h). The reference backend runs two short prompts, fast ones run
// everything; perplexity in bfloat16 is registered as a slow test. us-constitution.ids are the ids
// of us-constitution.txt by the model's own tokenizer, int32 little-endian.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "tests/testing/model_path.h"
#include "tests/worker/model/model_fixture.h"
#include "tests/worker/model/smollm2_prompts.h"
#include "worker/model/model_executor.h"

namespace banyan::worker::testing {
namespace {

namespace fs = std::filesystem;

constexpr float kTolerance = 1e-3f;  // float32 against float64 differs by up to 2e-4
constexpr int32_t kContextLength = 2048;
constexpr int32_t kBlockSize = 16;
constexpr int32_t kStepTokens = 512;
constexpr std::string_view kReferencePrompts[] = {"chat_capital", "raw_story"};

// A file of little-endian 32-bit values.
template <typename T>
std::vector<T> ReadBinary(const fs::path& path) {
  std::vector<T> values(fs::file_size(path) / sizeof(T));
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(T)));
  EXPECT_TRUE(file.good()) << path;
  return values;
}

class SmolLm2Test : public ::testing::TestWithParam<TestBackend> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fs::exists(banyan::testing::DefaultModelPath()))
        << banyan::testing::DefaultModelPath() << ": deploy/toolchain/fetch_model.py fetches it";
    auto checkpoint = Checkpoint::Open(banyan::testing::DefaultModelPath());
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    checkpoint_ = *std::move(checkpoint);
  }
  static bool is_fast() { return GetParam().name != "reference"; }
  static bool IsRun(const SmolLm2Prompt& prompt) {
    return is_fast() || std::ranges::count(kReferencePrompts, prompt.name) > 0;
  }
  static ModelOptions Options() {
    return {.max_step_tokens = kStepTokens,
            .max_sequences = 1,
            .context_length = kContextLength,
            .block_size = kBlockSize};
  }
  void MakeExecutor() {
    backend_ = GetParam().make();
    auto model = LoadModel(*checkpoint_, *backend_, Options(), nullptr);
    ASSERT_TRUE(model.ok()) << model.status();
    executor_ = *ModelExecutor::Create(*std::move(model), kContextLength / kBlockSize);
  }

  // Runs tokens [begin, end) and draws one token per entry of `samples`.
  std::vector<kernels::SampledToken> Step(const std::vector<TokenId>& tokens, size_t begin,
                                          size_t end, std::vector<SamplePlan> samples) {
    SequencePlan sequence;
    sequence.num_cached = static_cast<int32_t>(begin);
    sequence.new_tokens.assign(tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                               tokens.begin() + static_cast<std::ptrdiff_t>(end));
    sequence.block_table = PlainTable(kContextLength, kBlockSize);
    sequence.samples = std::move(samples);
    StepPlan plan;
    plan.num_tokens = static_cast<int32_t>(end - begin);
    plan.sequences.push_back(std::move(sequence));
    StepResult result;
    EXPECT_TRUE(executor_->Execute(plan, result).ok());
    return result.tokens;
  }
  // log p(tokens[j + 1] | tokens[.. j]) for each j; afterwards the cache holds all tokens.
  std::vector<float> PromptLogprobs(const std::vector<TokenId>& tokens) {
    std::vector<float> logprobs;
    for (size_t begin = 0; begin < tokens.size(); begin += kStepTokens) {
      const size_t end = std::min(begin + kStepTokens, tokens.size());
      std::vector<SamplePlan> samples;
      for (size_t j = begin; j < end && j + 1 < tokens.size(); ++j) {
        SamplePlan& sample = samples.emplace_back();
        sample.new_token = static_cast<int32_t>(j - begin);
        sample.row.forced = tokens[j + 1];
        sample.row.num_logprobs = 0;
      }
      for (const kernels::SampledToken& token : Step(tokens, begin, end, samples)) {
        logprobs.push_back(token.logprob);
      }
    }
    return logprobs;
  }

  // exp of the mean negative log-likelihood over windows of 512 tokens, each run alone.
  double Perplexity() {
    MakeExecutor();
    const std::vector<TokenId> ids = ReadBinary<TokenId>(SmolLm2GoldenPath("us-constitution.ids"));
    EXPECT_EQ(ids.size(), 10710u);
    double nll = 0;
    int num_predictions = 0;
    for (size_t begin = 0; begin < ids.size(); begin += kStepTokens) {
      const auto first = ids.begin() + static_cast<std::ptrdiff_t>(begin);
      const size_t size = std::min<size_t>(kStepTokens, ids.size() - begin);
      for (float logprob : PromptLogprobs({first, first + static_cast<std::ptrdiff_t>(size)})) {
        nll -= double{logprob};
        ++num_predictions;
      }
    }
    EXPECT_EQ(num_predictions, 10689);
    const double perplexity = std::exp(nll / num_predictions);
    std::printf("%s: perplexity %.5f\n", GetParam().name.c_str(), perplexity);
    return perplexity;
  }

  std::unique_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<kernels::Backend> backend_;
  std::unique_ptr<ModelExecutor> executor_;
};

void ExpectNear(const std::vector<float>& actual, const std::vector<float>& expected,
                const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], kTolerance) << what << " at " << i;
  }
}

TEST_P(SmolLm2Test, PromptLogprobsAndGreedyIdsAreThoseOfTransformers) {
  MakeExecutor();
  int num_run = 0;
  for (const SmolLm2Prompt& prompt : ReadSmolLm2Prompts()) {
    if (!IsRun(prompt)) continue;
    ++num_run;
    ExpectNear(PromptLogprobs(prompt.ids), prompt.prompt_logprobs, prompt.name + " prompt");
    std::vector<TokenId> tokens = prompt.ids;
    std::vector<float> logprobs;
    while (tokens.size() < prompt.ids.size() + prompt.greedy.size()) {
      SamplePlan sample;
      sample.row.temperature = 0;
      sample.row.num_logprobs = 0;
      const kernels::SampledToken next =
          Step(tokens, tokens.size() - 1, tokens.size(), {sample})[0];
      tokens.push_back(next.token);
      logprobs.push_back(next.logprob);
    }
    const auto output = tokens.begin() + static_cast<std::ptrdiff_t>(prompt.ids.size());
    EXPECT_EQ(std::vector<TokenId>(output, tokens.end()), prompt.greedy) << prompt.name;
    ExpectNear(logprobs, prompt.greedy_logprobs, prompt.name + " greedy");
  }
  EXPECT_EQ(num_run, is_fast() ? 13 : 2);
}

TEST_P(SmolLm2Test, LogitsAfterThePromptAreThoseOfTransformers) {
  RunnableModel model(GetParam(), *checkpoint_, Options(), kContextLength / kBlockSize);
  int num_run = 0;
  for (const SmolLm2Prompt& prompt : ReadSmolLm2Prompts()) {
    const fs::path path = SmolLm2GoldenPath("logits_last_" + prompt.name + ".f32");
    if (!fs::exists(path)) continue;
    if (!IsRun(prompt)) continue;
    ++num_run;
    const auto expected = ReadBinary<float>(path);
    const SequenceRun run{prompt.ids, PlainTable(kContextLength, kBlockSize)};
    ExpectNear(model.RunForLast(run, kStepTokens), expected, prompt.name);
  }
  EXPECT_EQ(num_run, is_fast() ? 3 : 2);
}

// The whole text takes minutes on the reference backend, so this one is not instantiated for it.
class SmolLm2PerplexityTest : public SmolLm2Test {};

std::vector<TestBackend> FastBackends() {
  std::vector<TestBackend> fast = TestBackends();
  std::erase_if(fast, [](const TestBackend& backend) { return backend.name == "reference"; });
  return fast;
}

TEST_P(SmolLm2PerplexityTest, IsThatOfTransformers) { EXPECT_NEAR(Perplexity(), 8.69202, 5e-4); }

// What serving in bfloat16 costs: Transformers gives 8.70297 with weights alone rounded.
class SmolLm2BFloat16Test : public SmolLm2Test {};

TEST_P(SmolLm2BFloat16Test, PerplexityStaysWithinHalfAPercentOfFloat32) {
  EXPECT_NEAR(Perplexity(), 8.69202, 0.005 * 8.69202);
}

INSTANTIATE_TEST_SUITE_P(All, SmolLm2Test, ::testing::ValuesIn(TestBackends()),
                         [](const auto& test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(All, SmolLm2PerplexityTest, ::testing::ValuesIn(FastBackends()),
                         [](const auto& test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(All, SmolLm2BFloat16Test, ::testing::ValuesIn(FastBFloat16Backends()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace banyan::worker::testing
