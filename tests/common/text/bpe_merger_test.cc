#include "common/text/bpe_merger.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace banyan {
namespace {

// The definition: the lowest rank, leftmost, until nothing joins.
std::vector<TokenId> MergeByDefinition(const MergeTable& merges, std::vector<TokenId> symbols) {
  while (true) {
    uint32_t best_rank = kNoMerge;
    size_t best = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const uint32_t rank = merges.Rank(symbols[i], symbols[i + 1]);
      if (rank < best_rank) {
        best_rank = rank;
        best = i;
      }
    }
    if (best_rank == kNoMerge) return symbols;
    symbols[best] = merges.Merged(best_rank);
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

// Random merges of ids below 40, cycles included.
MergeTable RandomMerges(std::mt19937& random) {
  constexpr uint32_t kNumMerges = 300;
  MergeTable merges(kNumMerges);
  const auto id = [&random] { return static_cast<TokenId>(random() % 40); };
  for (uint32_t rank = 0; rank < kNumMerges; ++rank) merges.Add(id(), id(), rank, id());
  return merges;
}

TEST(BpeMergerTest, EqualsTheDefinitionOnShortAndLongWords) {
  std::mt19937 random(11);
  BpeMerger merger;
  for (int trial = 0; trial < 300; ++trial) {
    const MergeTable merges = RandomMerges(random);
    std::vector<TokenId> symbols(1 + random() % 90);
    for (TokenId& symbol : symbols) symbol = static_cast<TokenId>(random() % 40);
    const std::vector<TokenId> expected = MergeByDefinition(merges, symbols);
    merger.Merge(merges, symbols);
    ASSERT_EQ(symbols, expected) << "trial " << trial;
  }
}

TEST(BpeMergerTest, TakesNearLinearStepsOnAMillionEqualSymbols) {
  // Id i + 1 is two of id i.
  constexpr TokenId kNumLevels = 6;
  MergeTable merges(kNumLevels);
  for (TokenId i = 0; i < kNumLevels; ++i) merges.Add(i, i, static_cast<uint32_t>(i), i + 1);
  constexpr size_t kNumSymbols = 1u << 20;
  std::vector<TokenId> symbols(kNumSymbols, 0);
  BpeMerger merger;
  merger.Merge(merges, symbols);
  EXPECT_EQ(symbols, std::vector<TokenId>(kNumSymbols >> kNumLevels, kNumLevels));
  EXPECT_LT(merger.num_steps(), int64_t{6} * kNumSymbols);
}

TEST(MergeTableTest, TheLastOfEqualPairsWins) {
  MergeTable merges(2);
  merges.Add(1, 2, 0, 3);
  merges.Add(1, 2, 1, 3);
  EXPECT_EQ(merges.Rank(1, 2), 1u);
  EXPECT_EQ(merges.Rank(2, 1), kNoMerge);
}

}  // namespace
}  // namespace banyan
