// Engine and model together, on tiny random models of every family: one workload under many
// configurations says the same tokens.
#include <gtest/gtest.h>

#include <set>

#include "tests/testing/tiny_model.h"
#include "tests/worker/engine/model_engine_fixture.h"

namespace banyan::worker::testing {
namespace {

constexpr int32_t kNumRequests = 16;
constexpr int32_t kSharedTokens = 40;  // of every prompt: two whole blocks and a half

struct Case {
  std::string name;
  TestBackend backend;
  Architecture architecture;
};

class EngineModelTest : public ::testing::TestWithParam<Case> {
 protected:
  EngineModelTest()
      : checkpoint_(banyan::testing::MakeTinyCheckpoint({.architecture = GetParam().architecture})),
        fixture_(GetParam().backend, *checkpoint_),
        options_(fixture_.options()),
        requests_(Workload()),
        expected_(fixture_.Run(options_, requests_)) {}

  std::vector<Request> Workload() const {
    const int64_t vocabulary_size = checkpoint_->config().vocabulary_size;
    const std::vector<TokenId> shared = RandomTokens(kSharedTokens, vocabulary_size, 99);
    std::vector<Request> requests;
    for (int32_t i = 0; i < kNumRequests; ++i) {
      Request request;
      request.id = std::to_string(i);
      request.prompt = shared;
      for (TokenId token : RandomTokens(1 + 7 * i, vocabulary_size, static_cast<uint64_t>(i % 6))) {
        request.prompt.push_back(token);
      }
      request.sampling.temperature = i % 2 == 0 ? 0.0f : 1.0f;
      request.sampling.top_p = i % 4 == 1 ? 0.9f : 1.0f;
      request.sampling.frequency_penalty = i % 3 == 0 ? 0.4f : 0.0f;
      request.sampling.presence_penalty = i % 5 == 0 ? 0.2f : 0.0f;
      request.sampling.repetition_penalty = i % 4 == 2 ? 1.2f : 1.0f;
      request.sampling.num_samples = i % 4 == 3 ? 2 : 1;
      request.sampling.max_tokens = 24;
      request.sampling.ignore_eos = i % 3 != 2;
      request.sampling.seed = static_cast<uint64_t>(i);
      requests.push_back(request);
    }
    return requests;
  }

  ModelOutputs Run(ModelArrival arrival = ModelArrival::kTogether) {
    return fixture_.Run(options_, requests_, arrival);
  }

  std::unique_ptr<Checkpoint> checkpoint_;
  ModelEngineFixture fixture_;
  EngineOptions options_;
  const std::vector<Request> requests_;
  const ModelOutputs expected_;
};

TEST_P(EngineModelTest, RequestsOfTheWorkloadDiffer) {
  // Guards the tests below: a model that always says the same would pass them.
  std::set<std::vector<TokenId>> different;
  for (const auto& samples : expected_) different.insert(samples.begin(), samples.end());
  EXPECT_GE(different.size(), static_cast<size_t>(kNumRequests) / 2);
}

TEST_P(EngineModelTest, PrefixCacheOnOrOff) {
  EXPECT_EQ(Run(ModelArrival::kOneByOne), expected_);
  EXPECT_GT(fixture_.stats().prefix_hit_tokens, 0u);
  options_.prefix_cache = false;
  EXPECT_EQ(Run(ModelArrival::kOneByOne), expected_);
  EXPECT_EQ(fixture_.stats().prefix_hit_tokens, 0u);
}

TEST_P(EngineModelTest, ChunkedOrNot) {
  options_.max_running_sequences = kNumRequests;
  for (const int32_t budget : {17, 64}) {
    options_.max_step_tokens = budget;
    EXPECT_EQ(Run(), expected_) << budget;
  }
}

TEST_P(EngineModelTest, AloneOrInABatch) {
  options_.max_running_sequences = 2;
  options_.num_samples_max = 2;
  options_.prefix_cache = false;
  EXPECT_EQ(Run(ModelArrival::kOneByOne), expected_);
}

TEST_P(EngineModelTest, PreemptedOrNot) {
  options_.num_blocks = 26;
  EXPECT_EQ(Run(), expected_);
  EXPECT_GT(fixture_.stats().preemptions, 0u);
}

TEST_P(EngineModelTest, ResumedOrNot) {
  for (const size_t cut : {size_t{1}, size_t{8}, size_t{23}}) {
    std::vector<Request> resumed;
    ModelOutputs rest;
    for (size_t i = 0; i < requests_.size(); ++i) {
      resumed.push_back(ResumedAfter(requests_[i], expected_[i], cut));
      rest.push_back(RestAfter(expected_[i], cut));
    }
    EXPECT_EQ(fixture_.Run(options_, resumed), rest) << cut;
  }
}

TEST_P(EngineModelTest, SamplesOfOneRequestOrEachByItself) {
  int num_compared = 0;
  for (size_t i = 0; i < requests_.size(); ++i) {
    if (requests_[i].sampling.num_samples != 2) continue;
    ++num_compared;
    Request first = requests_[i];
    first.sampling.num_samples = 1;
    EXPECT_EQ(fixture_.Run(options_, {first})[0][0], expected_[i][0]) << i;
    Request second = requests_[i];
    second.resume = {{expected_[i][0], true}, {{}, false}};
    EXPECT_EQ(fixture_.Run(options_, {second})[0][1], expected_[i][1]) << i;
    EXPECT_NE(expected_[i][0], expected_[i][1]) << i;
  }
  EXPECT_EQ(num_compared, kNumRequests / 4);
}

std::vector<Case> Cases() {
  const std::pair<std::string, Architecture> families[] = {{"llama", Architecture::kLlama},
                                                           {"qwen3", Architecture::kQwen3},
                                                           {"mistral", Architecture::kMistral}};
  std::vector<Case> cases;
  for (const auto& [family, architecture] : families) {
    for (const TestBackend& backend : TestBackends()) {
      if (backend.name == "reference") continue;  // slow; its bits are those of model tests
      cases.push_back({family + "_" + backend.name + "_f32", backend, architecture});
    }
    for (const TestBackend& backend : FastBFloat16Backends()) {
      cases.push_back({family + "_" + backend.name, backend, architecture});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Tiny, EngineModelTest, ::testing::ValuesIn(Cases()),
                         [](const auto& test) { return test.param.name; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EngineModelTest);

}  // namespace
}  // namespace banyan::worker::testing
