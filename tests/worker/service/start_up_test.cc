// What happens before a worker serves: options, memory, warm-up.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/service/capacity_plan.h"
#include "worker/service/request_conversion.h"
#include "worker/service/warm_up.h"
#include "worker/service/worker_options.h"

namespace banyan::worker {
namespace {

using ::testing::HasSubstr;

// --- options ---

std::string CheckFailure(const WorkerOptions& options) {
  const absl::Status status = CheckOptions(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(WorkerOptionsTest, EveryFlagHasAVariableAndHelpThatFits) {
  WorkerOptions options;
  const rpc::OptionTable table = MakeOptionTable(options);
  for (const rpc::OptionInfo& option : table.options()) {
    EXPECT_TRUE(option.env.starts_with("BANYAN_")) << option.name;
    EXPECT_FALSE(option.help.empty()) << option.name;
    EXPECT_THAT(table.Help(), HasSubstr("--" + option.name));
  }
}

TEST(WorkerOptionsTest, FlagsReachTheirFields) {
  WorkerOptions options;
  rpc::OptionTable table = MakeOptionTable(options);
  const char* args[] = {"banyan-worker",     "--model",    "m.gguf",          "--dtype=f32",
                        "--kv-cache-tokens", "4096",       "--block-size=32", "--no-prefix-cache",
                        "--insecure",        "--threads=2"};
  ASSERT_EQ(*table.Parse(10, args), rpc::ParseOutcome::kRun);
  EXPECT_EQ(options.model, "m.gguf");
  EXPECT_EQ(options.dtype, "f32");
  EXPECT_EQ(options.kv_cache_tokens, 4096);
  EXPECT_EQ(options.block_size, 32);
  EXPECT_TRUE(options.no_prefix_cache);
  EXPECT_EQ(options.threads, 2);
  EXPECT_EQ(options.security(), rpc::TransportSecurity::kInsecure);
  EXPECT_TRUE(CheckOptions(options).ok());
}

TEST(WorkerOptionsTest, WhatDoesNotFitTogetherIsNamed) {
  WorkerOptions options;
  EXPECT_THAT(CheckFailure(options), HasSubstr("--model is missing"));
  options.model = "m";
  options.kv_cache_tokens = 1;
  options.kv_cache_bytes = 1;
  EXPECT_THAT(CheckFailure(options), HasSubstr("--kv-cache-tokens and --kv-cache-bytes"));
  options.kv_cache_bytes.reset();
  options.max_step_tokens = 63;
  EXPECT_THAT(CheckFailure(options), HasSubstr("--max-step-tokens"));
  options.max_step_tokens = 64;
  options.block_size = 8;
  EXPECT_THAT(CheckFailure(options), HasSubstr("--block-size: the cpu backend takes multiples of "
                                               "16 tokens, got 8"));
  options.backend = "reference";
  EXPECT_TRUE(CheckOptions(options).ok());
  options.block_size = 16;
  options.worker_id = std::string(129, 'x');
  EXPECT_THAT(CheckFailure(options), HasSubstr("--worker-id"));
}

// --- memory ---

constexpr size_t kMegabyte = 1 << 20;

MemoryPlan Plan() {
  return {.weight_bytes = 90 * kMegabyte,
          .rope_bytes = 5 * kMegabyte,
          .activation_bytes = 5 * kMegabyte,
          .kv_bytes_per_block = kMegabyte};
}

CapacityRequest Room(int64_t available_mb) {
  return {.kv_tokens = std::nullopt,
          .kv_bytes = std::nullopt,
          .block_size = 16,
          .context_length = 1024,
          .max_running_sequences = 10,
          .available_bytes = available_mb * static_cast<int64_t>(kMegabyte)};
}

TEST(CapacityPlanTest, TakesHalfOfWhatTheModelLeaves) {
  EXPECT_EQ(*PlanBlocks(Plan(), Room(300)), 100);
}

TEST(CapacityPlanTest, TakesNoMoreThanTheLargestBatchCanUse) {
  EXPECT_EQ(*PlanBlocks(Plan(), Room(100'000)), 640);
}

TEST(CapacityPlanTest, TakesFourGigabytesAtMostUnasked) {
  CapacityRequest request = Room(100'000);
  request.max_running_sequences = 1'000;
  EXPECT_EQ(*PlanBlocks(Plan(), request), 4'096);
}

TEST(CapacityPlanTest, DoesWhatItIsAskedInTokensOrBytes) {
  CapacityRequest request = Room(300);
  request.kv_tokens = 33;
  EXPECT_EQ(*PlanBlocks(Plan(), request), 3);
  request.kv_tokens.reset();
  request.kv_bytes = 7 * static_cast<int64_t>(kMegabyte) + 5;
  EXPECT_EQ(*PlanBlocks(Plan(), request), 7);
}

TEST(CapacityPlanTest, RefusesWhatDoesNotFitWithTheNumbers) {
  CapacityRequest request = Room(150);
  request.kv_tokens = 51 * 16;
  const absl::Status status = PlanBlocks(Plan(), request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr(std::to_string(90 * kMegabyte)));
  EXPECT_THAT(std::string(status.message()), HasSubstr(std::to_string(150 * kMegabyte)));
  EXPECT_EQ(PlanBlocks(Plan(), Room(99)).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(CapacityPlanTest, LessThanABlockIsAnError) {
  CapacityRequest request = Room(300);
  request.kv_bytes = static_cast<int64_t>(kMegabyte) - 1;
  const absl::Status status = PlanBlocks(Plan(), request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--kv-cache-bytes"));
}

TEST(CapacityPlanTest, UnknownMemoryIsNotChecked) {
  CapacityRequest request = Room(0);
  request.kv_tokens = 1 << 20;
  EXPECT_EQ(*PlanBlocks(Plan(), request), 65'536);
}

// --- defaults ---

TEST(UsableDefaultsTest, DropsWhatNoRequestCouldAskFor) {
  const GenerationDefaults usable = UsableDefaults({.temperature = -1.0f,
                                                    .top_p = 0.9f,
                                                    .top_k = -1,
                                                    .min_p = std::nullopt,
                                                    .repetition_penalty = 0.0f});
  EXPECT_EQ(usable.temperature, std::nullopt);
  EXPECT_EQ(usable.top_p, 0.9f);
  EXPECT_EQ(usable.top_k, std::nullopt);
  EXPECT_EQ(usable.repetition_penalty, std::nullopt);
}

// --- warm-up ---

// Records plans; answers with token 7, or with logits that are not finite.
class RecordingExecutor final : public StepExecutor {
 public:
  absl::Status Execute(const StepPlan& plan, StepResult& result) override {
    plans.push_back(plan);
    result.tokens.resize(1);
    result.tokens[0].token = 7;
    result.tokens[0].finite = finite;
    return absl::OkStatus();
  }
  std::vector<StepPlan> plans;
  bool finite = true;
};

TEST(WarmUpTest, PrefillsThenDecodes) {
  RecordingExecutor executor;
  ASSERT_TRUE(
      WarmUp(executor,
             {.block_size = 4, .num_blocks = 8, .max_step_tokens = 64, .context_length = 32})
          .ok());
  ASSERT_EQ(executor.plans.size(), 3u);
  const SequencePlan& prefill = executor.plans[0].sequences[0];
  EXPECT_EQ(prefill.new_tokens.size(), 8u);
  EXPECT_EQ(prefill.block_table.size(), 2u);
  EXPECT_EQ(prefill.samples[0].new_token, 7);
  const SequencePlan& decode = executor.plans[2].sequences[0];
  EXPECT_EQ(decode.num_cached, 9);
  EXPECT_EQ(decode.new_tokens, std::vector<TokenId>{7});
  EXPECT_EQ(decode.block_table.size(), 3u);
  EXPECT_EQ(decode.samples[0].row.position, 10u);
}

TEST(WarmUpTest, StaysWithinTheSmallestLimits) {
  for (const WarmUpLimits& limits :
       {WarmUpLimits{.block_size = 1, .num_blocks = 1, .max_step_tokens = 9, .context_length = 9},
        WarmUpLimits{
            .block_size = 16, .num_blocks = 9, .max_step_tokens = 1, .context_length = 2}}) {
    RecordingExecutor executor;
    ASSERT_TRUE(WarmUp(executor, limits).ok());
    for (const StepPlan& plan : executor.plans) {
      EXPECT_LE(plan.num_tokens, limits.max_step_tokens);
      EXPECT_LE(plan.sequences[0].num_cached + plan.num_tokens, limits.context_length);
      EXPECT_LE(plan.sequences[0].block_table.size(), static_cast<size_t>(limits.num_blocks));
    }
  }
}

TEST(WarmUpTest, DamagedWeightsAreFound) {
  RecordingExecutor executor;
  executor.finite = false;
  const absl::Status status = WarmUp(
      executor, {.block_size = 16, .num_blocks = 8, .max_step_tokens = 64, .context_length = 64});
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not finite"));
}

}  // namespace
}  // namespace banyan::worker
