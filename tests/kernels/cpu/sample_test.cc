// Sample against reference/: equal tokens on equal logits, over every parameter.
#include <bit>
#include <limits>

#include "kernels/cpu/kernel_table.h"
#include "kernels/sampling_rule.h"
#include "tests/kernels/cpu/cpu_fixture.h"

namespace banyan::kernels::testing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A stream of random numbers for choosing parameters.
class Choices {
 public:
  explicit Choices(uint64_t seed) : seed_(seed) {}
  uint32_t Next() { return NoiseBits({seed_, 7, 0}, counter_++)[0]; }
  int Below(int bound) { return static_cast<int>(Next() % static_cast<uint32_t>(bound)); }
  float Unit() { return static_cast<float>(Next() >> 8) * 0x1p-24f; }
  template <typename T>
  T One(const std::vector<T>& of) {
    return of[static_cast<size_t>(Below(static_cast<int>(of.size())))];
  }

 private:
  uint64_t seed_;
  uint32_t counter_ = 0;
};

// A row with the memory that it points to.
struct OwnedRow {
  SamplingRow row;
  std::vector<LogitAdjustment> adjustments;
  std::vector<TokenId> allowed;
  std::vector<TokenId> banned;
  SamplingRow view() {
    row.adjustments = adjustments.data();
    row.num_adjustments = static_cast<int32_t>(adjustments.size());
    row.allowed = allowed.empty() ? nullptr : allowed.data();
    row.num_allowed = static_cast<int32_t>(allowed.size());
    row.banned = banned.data();
    row.num_banned = static_cast<int32_t>(banned.size());
    return row;
  }
};

OwnedRow RandomRow(Choices& choices, int vocabulary) {
  OwnedRow owned;
  SamplingRow& row = owned.row;
  row.temperature = choices.One<float>({0.0f, 0.001f, 0.3f, 0.7f, 1.0f, 1.0f, 2.5f, 100.0f});
  row.top_k = choices.One<int32_t>({0, 0, 1, 2, 40, 500, 1 << 20});
  row.top_p = choices.One<float>({1.0f, 1.0f, 0.0f, 0.1f, 0.5f, 0.9f, 0.95f, 0.999f});
  row.min_p = choices.One<float>({0.0f, 0.0f, 0.0001f, 0.05f, 1.0f});
  row.repetition_penalty = choices.One<float>({1.0f, 1.3f});
  row.presence_penalty = choices.One<float>({0.0f, 0.7f});
  row.frequency_penalty = choices.One<float>({0.0f, 0.4f});
  row.seed = choices.Next();
  row.sample_index = choices.Next() % 4;
  row.position = choices.Next();
  row.num_logprobs = choices.One<int32_t>({-1, 0, 1, 5, 20});
  if (choices.Below(16) == 0) row.forced = choices.Below(vocabulary);
  TokenId id = 0;
  while (choices.Below(3) != 0 && (id += 1 + choices.Below(9)) < vocabulary) {
    owned.adjustments.push_back({.token = id,
                                 .bias = choices.One<float>({0.0f, 2.0f, -kInfinity}),
                                 .output_count = choices.Below(3),
                                 .seen = choices.Below(2) == 0});
  }
  if (choices.Below(4) == 0) {
    for (TokenId token = choices.Below(50); token < vocabulary; token += 1 + choices.Below(60)) {
      owned.allowed.push_back(token);
    }
  }
  if (choices.Below(4) == 0) owned.banned = {0, choices.Below(vocabulary)};
  return owned;
}

// Gaussian-like, flat, peaked, full of ties, equal once the maximum is taken off, or with banned
// ids.
std::vector<float> RandomLogits(Choices& choices, int vocabulary) {
  std::vector<float> logits(static_cast<size_t>(vocabulary));
  const int kind = choices.Below(6);
  for (float& logit : logits) {
    const float bell = choices.Unit() + choices.Unit() + choices.Unit() - 1.5f;
    switch (kind) {
      case 0:
        logit = 4 * bell;
        break;
      case 1:
        logit = 1e-3f * bell + 20;
        break;
      case 2:
        logit = 60 * bell;
        break;
      case 3:
        logit = static_cast<float>(choices.Below(6));
        break;
      case 4:
        logit = choices.Below(8) == 0 ? 256.0f : 1e-5f * bell;
        break;
      default:
        logit = choices.Below(4) == 0 ? -kInfinity : 3 * bell;
    }
  }
  return logits;
}

using SampleTest = PathTest;

TEST_P(SampleTest, DrawsTheTokensOfReferenceOverRandomRowsAndParameters) {
  const auto cpu = MakeCpu(GetParam());
  const auto reference = MakeReference(GetParam().dtype);
  Choices choices(42);
  for (int round = 0; round < 150; ++round) {
    const int vocabulary = choices.One<int>({1, 15, 16, 100, 1000, 4097});
    constexpr int kRows = 7;
    std::vector<OwnedRow> owned;
    std::vector<SamplingRow> rows;
    OwnedMatrix logits(kRows, vocabulary);
    for (int r = 0; r < kRows; ++r) {
      owned.push_back(RandomRow(choices, vocabulary));
      const auto values = RandomLogits(choices, vocabulary);
      for (int v = 0; v < vocabulary; ++v) logits.Set(r, v, values[static_cast<size_t>(v)]);
    }
    for (OwnedRow& row : owned) rows.push_back(row.view());
    std::vector<SampledToken> got(kRows);
    std::vector<SampledToken> want(kRows);
    OwnedMatrix copy = logits;
    cpu->Sample({.logits = copy.view(), .rows = rows.data(), .out = got.data()});
    reference->Sample({.logits = logits.view(), .rows = rows.data(), .out = want.data()});
    for (size_t r = 0; r < kRows; ++r) {
      ASSERT_EQ(got[r].token, want[r].token)
          << "round " << round << " row " << r << " top_k " << rows[r].top_k << " top_p "
          << rows[r].top_p << " min_p " << rows[r].min_p << " temperature " << rows[r].temperature;
      ASSERT_EQ(got[r].finite, want[r].finite);
      ASSERT_EQ(got[r].num_top, want[r].num_top);
      if (!got[r].finite || rows[r].num_logprobs < 0) continue;
      const auto expect_near = [&](float a, float b) {
        // -infinity too; NaN where the whole row is -infinity and a token was forced.
        if (a == b || (std::isnan(a) && std::isnan(b))) return;
        ASSERT_NEAR(a, b, tolerances().Logprob() * (1 + std::abs(b)));
      };
      expect_near(got[r].logprob, want[r].logprob);
      for (int i = 0; i < got[r].num_top; ++i) {
        ASSERT_EQ(got[r].top_tokens[i], want[r].top_tokens[i]);
        expect_near(got[r].top_logprobs[i], want[r].top_logprobs[i]);
      }
    }
  }
}

TEST_P(SampleTest, NoiseOfABlockHasTheBitsOfTheDefinition) {
  const cpu::KernelTable& kernels = cpu::KernelsFor(GetParam().isa, GetParam().dtype);
  const std::vector<float> logits(cpu::kDrawBlockTokens, -1.0f);
  const NoiseKey key{.seed = 0x123456789abcdef0, .sample_index = 7, .position = 0x987654321};
  for (uint32_t quad : {0u, 16u, 0xfffffff0u}) {
    uint32_t bits[cpu::kDrawBlockTokens];
    const uint64_t contenders = kernels.draw_contenders({.logits = logits.data(),
                                                         .inverse = 1,
                                                         .lowest = -10,
                                                         .best = -1e9f,
                                                         .key = key,
                                                         .first_quad = quad},
                                                        bits);
    EXPECT_EQ(contenders, ~uint64_t{0});
    for (uint32_t i = 0; i < cpu::kDrawBlockTokens; ++i) {
      ASSERT_EQ(bits[i], NoiseBits(key, quad + i / 4)[i % 4]) << i;
    }
  }
}

TEST_P(SampleTest, NoIdThatWouldWinIsLeftOutOfABlock) {
  const cpu::KernelTable& kernels = cpu::KernelsFor(GetParam().isa, GetParam().dtype);
  int winners = 0;
  int contenders = 0;
  for (uint64_t round = 0; round < 2000; ++round) {
    const auto logits = RandomValues(cpu::kDrawBlockTokens, static_cast<uint32_t>(round + 1));
    const NoiseKey key{.seed = round, .sample_index = 0, .position = 3};
    const cpu::DrawBlock block{.logits = logits.data(),
                               .maximum = 1.5f,
                               .inverse = 0.5f + static_cast<float>(round % 5),
                               .lowest = -100,
                               .best = static_cast<float>(round % 12) * 0.7f - 1,
                               .key = key};
    uint32_t bits[cpu::kDrawBlockTokens];
    const uint64_t found = kernels.draw_contenders(block, bits);
    contenders += std::popcount(found);
    for (int i = 0; i < cpu::kDrawBlockTokens; ++i) {
      const float score = DrawScore(logits[static_cast<size_t>(i)] - block.maximum, block.inverse,
                                    GumbelNoise(key, i));
      if (score < block.best) continue;
      ++winners;
      ASSERT_TRUE(found >> i & 1) << "round " << round << " id " << i;
    }
  }
  EXPECT_GT(winners, 1000);
  EXPECT_LT(contenders, 8 * winners);
}

TEST_P(SampleTest, NonFiniteLogitsGiveNoToken) {
  const auto cpu = MakeCpu(GetParam());
  constexpr int kVocabulary = 37;
  for (int place : {0, 15, 16, 36}) {
    for (float bad : {std::nanf(""), kInfinity}) {
      OwnedMatrix logits = RandomMatrix(1, kVocabulary, DType::kFloat32, 3);
      logits.Set(0, place, bad);
      const SamplingRow row{.num_logprobs = 2};
      SampledToken out;
      cpu->Sample({.logits = logits.view(), .rows = &row, .out = &out});
      EXPECT_FALSE(out.finite);
      EXPECT_EQ(out.token, -1);
    }
  }
  OwnedMatrix nothing(1, 4, std::vector<float>(4, -kInfinity));
  const SamplingRow row;
  SampledToken out;
  cpu->Sample({.logits = nothing.view(), .rows = &row, .out = &out});
  EXPECT_FALSE(out.finite);
}

TEST_P(SampleTest, GreedyTakesTheLowestOfEqualLogits) {
  const auto cpu = MakeCpu(GetParam());
  OwnedMatrix logits(1, 50, std::vector<float>(50, 1.0f));
  logits.Set(0, 21, 2.0f);
  logits.Set(0, 40, 2.0f);
  const SamplingRow row{.temperature = 0};
  SampledToken out;
  cpu->Sample({.logits = logits.view(), .rows = &row, .out = &out});
  EXPECT_EQ(out.token, 21);
}

INSTANTIATE_TEST_SUITE_P(Paths, SampleTest, ::testing::ValuesIn(AllPaths()), PathName);

}  // namespace
}  // namespace banyan::kernels::testing
