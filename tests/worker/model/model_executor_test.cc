// ModelExecutor and loading: plans in, tokens out; progress, memory plan and refusals.
#include "worker/model/model_executor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "kernels/reference/reference_backend.h"
#include "tests/testing/tiny_model.h"
#include "tests/worker/model/model_fixture.h"
#include "worker/model/memory_plan.h"

namespace banyan::worker::testing {
namespace {

class ModelExecutorTest : public ::testing::Test {
 protected:
  ModelExecutorTest()
      : checkpoint_(banyan::testing::MakeTinyCheckpoint({})),
        backend_(kernels::CreateReferenceBackend(kernels::DType::kFloat32)) {
    auto model = LoadModel(
        *checkpoint_, *backend_,
        {.max_step_tokens = 64, .max_sequences = 4, .context_length = 128, .max_logit_rows = 3},
        nullptr);
    BANYAN_CHECK(model.ok()) << model.status().ToString();
    executor_ = *ModelExecutor::Create(*std::move(model), 16);
  }

  static SequencePlan MakeSequence(std::vector<TokenId> tokens, std::vector<int> blocks,
                                   int32_t num_cached = 0) {
    SequencePlan plan;
    plan.num_cached = num_cached;
    plan.new_tokens = std::move(tokens);
    for (int block : blocks) plan.block_table.push_back(static_cast<BlockId>(block));
    return plan;
  }
  static SamplePlan Greedy(int32_t new_token) {
    SamplePlan plan;
    plan.new_token = new_token;
    plan.row.temperature = 0;
    return plan;
  }
  StepResult Execute(std::vector<SequencePlan> sequences, std::vector<BlockCopy> copies = {}) {
    StepPlan plan;
    plan.copies = std::move(copies);
    for (const SequencePlan& sequence : sequences) {
      plan.num_tokens += static_cast<int32_t>(sequence.new_tokens.size());
    }
    plan.sequences = std::move(sequences);
    StepResult result;
    EXPECT_TRUE(executor_->Execute(plan, result).ok());
    return result;
  }
  // The greedy token after `tokens`.
  TokenId NextOf(const std::vector<TokenId>& tokens) {
    SequencePlan sequence = MakeSequence(tokens, {12, 13, 14, 15});
    sequence.samples = {Greedy(static_cast<int32_t>(tokens.size()) - 1)};
    return Execute({sequence}).tokens[0].token;
  }

  std::unique_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<kernels::Backend> backend_;
  std::unique_ptr<ModelExecutor> executor_;
};

TEST_F(ModelExecutorTest, ResultsStandInPlanOrder) {
  const std::vector<TokenId> a = RandomTokens(20, 283, 1);
  const std::vector<TokenId> b = RandomTokens(9, 283, 2);
  SequencePlan first = MakeSequence(a, {0, 1});
  first.samples = {Greedy(4), Greedy(11), Greedy(18), Greedy(19)};  // more than max_logit_rows
  SequencePlan second = MakeSequence(b, {2});                       // a prefill chunk: no samples
  SequencePlan third = MakeSequence(b, {3});
  third.samples = {Greedy(8)};
  const StepResult result = Execute({first, second, third});
  ASSERT_EQ(result.tokens.size(), 5u);
  size_t i = 0;
  for (int length : {5, 12, 19, 20}) {
    EXPECT_EQ(result.tokens[i++].token, NextOf({a.begin(), a.begin() + length}));
  }
  EXPECT_EQ(result.tokens[4].token, NextOf(b));
}

TEST_F(ModelExecutorTest, BlocksAreCopiedBeforeTheStep) {
  const std::vector<TokenId> tokens = RandomTokens(20, 283, 3);
  Execute({MakeSequence({tokens.begin(), tokens.begin() + 19}, {0, 1})});
  SequencePlan decode = MakeSequence({tokens[19]}, {0, 5}, 19);
  decode.samples = {Greedy(0)};
  const StepResult result = Execute({decode}, {{BlockId{1}, BlockId{5}}});
  EXPECT_EQ(result.tokens[0].token, NextOf(tokens));
}

TEST_F(ModelExecutorTest, PlansWithoutSequencesOnlyCopy) {
  EXPECT_TRUE(Execute({}, {{BlockId{1}, BlockId{5}}}).tokens.empty());
}

TEST_F(ModelExecutorTest, VectorsOfASamplePlanReachTheDraw) {
  const std::vector<TokenId> tokens = RandomTokens(6, 283, 4);
  const TokenId favourite = NextOf(tokens);
  SequencePlan sequence = MakeSequence(tokens, {0});
  sequence.samples = {Greedy(5), Greedy(5), Greedy(5)};
  sequence.samples[0].banned = {favourite};
  sequence.samples[1].allowed = {17};
  sequence.samples[2].adjustments = {{.token = 99, .bias = 100}};
  const StepResult result = Execute({sequence});
  EXPECT_NE(result.tokens[0].token, favourite);
  EXPECT_EQ(result.tokens[1].token, 17);
  EXPECT_EQ(result.tokens[2].token, 99);
}

TEST_F(ModelExecutorTest, OneTokenMayBeDrawnFromMoreOftenThanAStepHasTokens) {
  const std::vector<TokenId> tokens = RandomTokens(6, 283, 8);
  SequencePlan sequence = MakeSequence(tokens, {0});
  sequence.samples.assign(100, Greedy(5));  // max_step_tokens is 64
  const StepResult result = Execute({sequence});
  ASSERT_EQ(result.tokens.size(), 100u);
  const TokenId expected = NextOf(tokens);
  for (const kernels::SampledToken& token : result.tokens) EXPECT_EQ(token.token, expected);
}

TEST_F(ModelExecutorTest, PromptLogprobsComeFromForcedTokens) {
  const std::vector<TokenId> tokens = RandomTokens(8, 283, 5);
  SequencePlan sequence = MakeSequence(tokens, {0});
  for (int32_t j = 0; j + 1 < 8; ++j) {
    SamplePlan sample;
    sample.new_token = j;
    sample.row.forced = tokens[static_cast<size_t>(j) + 1];
    sample.row.num_logprobs = 2;
    sequence.samples.push_back(sample);
  }
  const StepResult result = Execute({sequence});
  for (size_t j = 0; j + 1 < 8; ++j) {
    EXPECT_EQ(result.tokens[j].token, tokens[j + 1]);
    EXPECT_LT(result.tokens[j].logprob, 0);
    EXPECT_GE(result.tokens[j].top_logprobs[0], result.tokens[j].logprob);
    const std::vector<TokenId> prefix(tokens.begin(), tokens.begin() + static_cast<int>(j) + 1);
    EXPECT_EQ(result.tokens[j].top_tokens[0], NextOf(prefix));
  }
}

TEST_F(ModelExecutorTest, PlansThatDoNotFitAreBugs) {
  EXPECT_DEATH(Execute({MakeSequence(RandomTokens(65, 283, 6), {0, 1, 2, 3, 4})}), "check failed");
  EXPECT_DEATH(Execute({MakeSequence({1, 2}, {16})}), "block 16");
  EXPECT_DEATH(Execute({MakeSequence({283}, {0})}), "token id 283");
  EXPECT_DEATH(Execute({MakeSequence(RandomTokens(17, 283, 7), {0})}), "check failed");
  EXPECT_DEATH(Execute({MakeSequence({1}, {0, 1, 2, 3, 4, 5, 6, 7, 8}, 128)}), "129 tokens");
  EXPECT_DEATH(Execute({}, {{BlockId{1}, BlockId{16}}}), "block 16");
}

TEST(LoadModelTest, ProgressRisesToTheTotalOfTheCheckpoint) {
  for (bool tied : {false, true}) {
    auto checkpoint = banyan::testing::MakeTinyCheckpoint({.tied_embeddings = tied});
    auto backend = kernels::CreateReferenceBackend(kernels::DType::kFloat32);
    std::vector<size_t> done;
    size_t total = 0;
    ASSERT_TRUE(LoadModel(*checkpoint, *backend, {}, [&](size_t bytes_done, size_t bytes_total) {
                  done.push_back(bytes_done);
                  total = bytes_total;
                }).ok());
    EXPECT_EQ(total, checkpoint->size_bytes());
    EXPECT_EQ(done.back(), total);
    EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
    EXPECT_GT(done.size(), checkpoint->tensors().size());
  }
}

TEST(MemoryPlanTest, EqualsWhatLoadingTakes) {
  for (Architecture architecture : {Architecture::kLlama, Architecture::kQwen3}) {
    for (bool tied : {false, true}) {
      auto checkpoint = banyan::testing::MakeTinyCheckpoint(
          {.architecture = architecture, .tied_embeddings = tied});
      auto backend = kernels::CreateReferenceBackend(kernels::DType::kFloat32);
      auto model = LoadModel(*checkpoint, *backend, {.context_length = 64}, nullptr);
      ASSERT_TRUE(model.ok());
      const MemoryPlan plan = PlanMemory(checkpoint->config(), (*model)->options(), *backend);
      EXPECT_EQ(plan.weight_bytes, (*model)->weights().SizeBytes());
      EXPECT_EQ(plan.rope_bytes, 2u * 64u * 8u * sizeof(float));
      auto cache = backend->CreateKvCache((*model)->CacheShape(3));
      ASSERT_TRUE(cache.ok());
      EXPECT_EQ(plan.kv_bytes_per_block * 3, (*cache)->size_bytes());
    }
  }
}

TEST(MemoryPlanTest, RefusesWhatDoesNotFitAndNamesEachPart) {
  const MemoryPlan plan{
      .weight_bytes = 1000, .rope_bytes = 20, .activation_bytes = 300, .kv_bytes_per_block = 50};
  EXPECT_EQ(plan.BlocksThatFit(1320 + 149), 2);
  EXPECT_EQ(plan.BlocksThatFit(1320), 0);
  EXPECT_EQ(plan.BlocksThatFit(5), 0);
  EXPECT_TRUE(CheckMemory(plan, 2, 1420).ok());
  const absl::Status status = CheckMemory(plan, 3, 1420);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  for (const char* part : {"1000", "20", "300", "3 blocks of 50", "1420"}) {
    EXPECT_NE(std::string(status.message()).find(part), std::string::npos) << part;
  }
}

// A tiny checkpoint with one tensor hidden or changed.
class AlteredCheckpoint final : public Checkpoint {
 public:
  explicit AlteredCheckpoint(std::string hidden) : hidden_(std::move(hidden)) {
    base_ = banyan::testing::MakeTinyCheckpoint({});
  }
  AlteredCheckpoint(TensorView changed) : AlteredCheckpoint(std::string()) {
    changed_ = std::move(changed);
  }
  const ModelConfig& config() const override { return base_->config(); }
  const GenerationDefaults& generation_defaults() const override {
    return base_->generation_defaults();
  }
  const TextAssets& text_assets() const override { return base_->text_assets(); }
  std::span<const TensorView> tensors() const override { return base_->tensors(); }
  const TensorView* FindTensor(std::string_view name) const override {
    if (name == hidden_) return nullptr;
    return name == changed_.name ? &changed_ : base_->FindTensor(name);
  }
  std::string weight_format() const override { return base_->weight_format(); }
  size_t size_bytes() const override { return base_->size_bytes(); }
  void Release(const TensorView& tensor) const override { base_->Release(tensor); }

 private:
  std::unique_ptr<Checkpoint> base_;
  std::string hidden_;
  TensorView changed_;
};

absl::Status LoadStatus(const Checkpoint& checkpoint) {
  auto backend = kernels::CreateReferenceBackend(kernels::DType::kFloat32);
  return LoadModel(checkpoint, *backend, {}, nullptr).status();
}

TEST(LoadModelTest, NamesTheTensorThatIsMissing) {
  for (const char* name : {"model.layers.1.self_attn.k_proj.weight", "model.norm.weight",
                           "lm_head.weight", "model.embed_tokens.weight"}) {
    const absl::Status status = LoadStatus(AlteredCheckpoint(std::string(name)));
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
    EXPECT_NE(std::string(status.message()).find(name), std::string::npos);
  }
}

TEST(LoadModelTest, NamesTensorFoundAndExpectedShape) {
  const auto tiny = banyan::testing::MakeTinyCheckpoint({});
  TensorView wrong = *tiny->FindTensor("model.layers.0.mlp.up_proj.weight");
  wrong.shape = {64, 128};
  const absl::Status status = LoadStatus(AlteredCheckpoint(wrong));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()),
            "tensor model.layers.0.mlp.up_proj.weight has shape [64, 128], expected [128, 64]");
}

}  // namespace
}  // namespace banyan::worker::testing
