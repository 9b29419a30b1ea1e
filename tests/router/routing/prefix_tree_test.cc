#include "router/routing/prefix_tree.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

#include "tests/router/routing/chains.h"

namespace banyan::router {
namespace {

PrefixTree::Options SmallTree() { return {.index_segment_bits = 2}; }

std::vector<uint32_t> MatchOf(const PrefixTree& tree, std::span<const BlockHash> hashes) {
  std::vector<uint32_t> depth;
  tree.Match(hashes, 1, depth);
  return depth;
}

TEST(PrefixTreeTest, MatchesTheLongestPrefixOfEachHolder) {
  PrefixTree tree(SmallTree());
  const HolderId a = *tree.AddHolder();
  const HolderId b = *tree.AddHolder();
  const std::vector<BlockHash> chain = MakeChain(1, 40);
  tree.Store(a, std::nullopt, chain, 1);
  tree.Store(b, std::nullopt, std::span(chain).first(7), 1);
  EXPECT_EQ(MatchOf(tree, chain), (std::vector<uint32_t>{40, 7}));
  EXPECT_EQ(MatchOf(tree, std::span(chain).first(5)), (std::vector<uint32_t>{5, 5}));
  tree.CheckInvariants();
}

TEST(PrefixTreeTest, SplitsARunWhereAnotherChainLeavesIt) {
  PrefixTree tree(SmallTree());
  const HolderId a = *tree.AddHolder();
  const HolderId b = *tree.AddHolder();
  const std::vector<BlockHash> chain = MakeChain(1, 20);
  const std::vector<BlockHash> branch = ExtendChain(std::span(chain).first(8), 2, 5);
  tree.Store(a, std::nullopt, chain, 1);
  tree.Store(b, std::nullopt, branch, 1);
  EXPECT_EQ(tree.num_runs(), 3u);
  EXPECT_EQ(MatchOf(tree, chain), (std::vector<uint32_t>{20, 8}));
  EXPECT_EQ(MatchOf(tree, branch), (std::vector<uint32_t>{8, 13}));
  tree.CheckInvariants();
}

TEST(PrefixTreeTest, AppendsToAChildlessTailInsteadOfMakingRuns) {
  PrefixTree tree(SmallTree());
  const HolderId a = *tree.AddHolder();
  const std::vector<BlockHash> chain = MakeChain(1, 300);
  tree.Store(a, std::nullopt, std::span(chain).first(1), 1);
  for (size_t i = 1; i < chain.size(); ++i) {
    tree.Store(a, chain[i - 1], std::span(chain).subspan(i, 1), 1);
  }
  EXPECT_EQ(tree.num_runs(), 1u);
  EXPECT_EQ(MatchOf(tree, chain)[a], 300u);
}

TEST(PrefixTreeTest, ChainsLongerThanARunContinueInTheNext) {
  PrefixTree tree(SmallTree());
  const HolderId a = *tree.AddHolder();
  const std::vector<BlockHash> chain = MakeChain(1, 2 * PrefixTree::kRunBlocksMax + 3);
  EXPECT_EQ(tree.Store(a, std::nullopt, chain, 1).num_blocks, chain.size());
  EXPECT_EQ(tree.num_runs(), 3u);
  EXPECT_EQ(MatchOf(tree, chain)[a], chain.size());
  tree.CheckInvariants();
}

TEST(PrefixTreeTest, RefusesAParentThatTheHolderDoesNotHave) {
  PrefixTree tree(SmallTree());
  const HolderId a = *tree.AddHolder();
  const HolderId b = *tree.AddHolder();
  const std::vector<BlockHash> chain = MakeChain(1, 4);
  tree.Store(a, std::nullopt, std::span(chain).first(3), 1);
  const auto change = tree.Store(b, chain[2], std::span(chain).subspan(3), 1);
  EXPECT_EQ(change.error, PrefixTree::StoreError::kUnknownParent);
  EXPECT_EQ(change.num_blocks, 0u);
}

TEST(PrefixTreeTest, RefusesABlockThatStandsElsewhere) {
  PrefixTree tree(SmallTree());
  const HolderId a = *tree.AddHolder();
  const std::vector<BlockHash> one = MakeChain(1, 4);
  const std::vector<BlockHash> two = MakeChain(2, 4);
  tree.Store(a, std::nullopt, one, 1);
  tree.Store(a, std::nullopt, two, 1);
  EXPECT_EQ(tree.Store(a, two[3], std::span(one).subspan(2, 1), 1).error,
            PrefixTree::StoreError::kConflict);
  const std::vector<BlockHash> twice = {MakeChain(3, 1)[0], MakeChain(3, 1)[0]};
  EXPECT_EQ(tree.Store(a, std::nullopt, twice, 1).error, PrefixTree::StoreError::kConflict);
  tree.CheckInvariants();
}

TEST(PrefixTreeTest, ARemovalInTheMiddleClampsWhatTheHolderHas) {
  PrefixTree tree(SmallTree());
  const HolderId a = *tree.AddHolder();
  const std::vector<BlockHash> chain = MakeChain(1, 10);
  tree.Store(a, std::nullopt, chain, 1);
  EXPECT_EQ(tree.Remove(a, chain[4]).num_blocks, 6u);
  EXPECT_EQ(MatchOf(tree, chain)[a], 4u);
  EXPECT_EQ(tree.Remove(a, chain[4]).num_blocks, 0u);
  tree.CheckInvariants();
}

TEST(PrefixTreeTest, ARetiredHolderIsOutOfMatchesAtOnceAndLeavesNothingBehind) {
  PrefixTree tree(SmallTree());
  const HolderId a = *tree.AddHolder();
  const HolderId b = *tree.AddHolder();
  const size_t bytes_before = tree.bytes();
  for (uint64_t seed = 0; seed < 100; ++seed) {
    tree.Store(a, std::nullopt, MakeChain(seed, 20), 1);
  }
  const std::vector<BlockHash> chain = MakeChain(7, 20);
  tree.Store(b, std::nullopt, chain, 1);
  tree.Retire(a);
  EXPECT_EQ(MatchOf(tree, chain), (std::vector<uint32_t>{0, 20}));
  int num_slices = 1;
  while (!tree.Reclaim(10)) {
    tree.CheckInvariants();
    ++num_slices;
  }
  EXPECT_EQ(num_slices, 10);
  EXPECT_EQ(tree.num_indexed_blocks(), 20u);
  EXPECT_EQ(*tree.AddHolder(), a);
  tree.Retire(a);
  tree.Retire(b);
  tree.Reclaim(1000);
  EXPECT_EQ(tree.num_runs(), 0u);
  EXPECT_EQ(tree.bytes(), bytes_before);
}

TEST(PrefixTreeTest, TheByteBoundDropsTheLeafMatchedLongestAgo) {
  PrefixTree::Options options = SmallTree();
  PrefixTree sizing(options);
  const HolderId unbounded = *sizing.AddHolder();
  for (uint64_t seed = 0; seed < 20; ++seed) {
    sizing.Store(unbounded, std::nullopt, MakeChain(seed, 64), 1);
  }
  options.bytes_max = sizing.bytes();
  PrefixTree tree(options);
  const HolderId a = *tree.AddHolder();
  for (uint64_t seed = 0; seed < 20; ++seed) {
    tree.Store(a, std::nullopt, MakeChain(seed, 64), static_cast<uint32_t>(seed + 1));
  }
  std::vector<uint32_t> depth;
  tree.Match(MakeChain(0, 64), 100, depth);
  for (uint64_t seed = 100; seed < 110; ++seed) {
    tree.Store(a, std::nullopt, MakeChain(seed, 64), 50);
    EXPECT_LE(tree.bytes(), options.bytes_max);
  }
  EXPECT_GT(tree.num_evicted_runs(), 0u);
  EXPECT_TRUE(tree.truncated(a));
  EXPECT_EQ(MatchOf(tree, MakeChain(0, 64))[a], 64u) << "used last";
  EXPECT_EQ(MatchOf(tree, MakeChain(1, 64))[a], 0u) << "used first";
  EXPECT_EQ(MatchOf(tree, MakeChain(109, 64))[a], 64u) << "just stored";
  tree.CheckInvariants();
}

// The reference: per holder the set of its blocks, and the longest prefix by walking.
struct Reference {
  std::map<HolderId, std::set<BlockHash>> blocks;

  uint32_t Walk(HolderId holder, std::span<const BlockHash> hashes) const {
    const auto found = blocks.find(holder);
    uint32_t depth = 0;
    while (found != blocks.end() && depth < hashes.size() &&
           found->second.contains(hashes[depth])) {
      ++depth;
    }
    return depth;
  }
};

// Random stores, removals of leaves, retirements and matches against the reference.
class PrefixTreePropertyTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  static constexpr int kSteps = 4000;

  void Step(int step) {
    const std::vector<BlockHash>& chain = family_.chain(random_);
    const HolderId holder = holders_[random_() % holders_.size()];
    const uint32_t held = reference_.Walk(holder, chain);
    switch (random_() % 8) {
      case 0:
        return RemoveLeaf(holder);
      case 1:
        if (step % 50 == 0) Replace(random_() % holders_.size());
        return;
      case 2:
      case 3:
        for (const HolderId each : holders_) {
          EXPECT_EQ(MatchOf(tree_, chain)[each], reference_.Walk(each, chain));
        }
        return;
      default:
        return Store(holder, chain, held);
    }
  }

  void Store(HolderId holder, const std::vector<BlockHash>& chain, uint32_t held) {
    const size_t from = held == 0 ? 0 : random_() % (held + 1);
    if (from == chain.size()) return;
    const size_t count = 1 + random_() % (chain.size() - from);
    const auto blocks = std::span(chain).subspan(from, count);
    std::optional<BlockHash> parent;
    if (from > 0) parent = chain[from - 1];
    const auto change = tree_.Store(holder, parent, blocks, 1);
    EXPECT_EQ(change.error, PrefixTree::StoreError::kNone);
    const size_t before = reference_.blocks[holder].size();
    reference_.blocks[holder].insert(blocks.begin(), blocks.end());
    EXPECT_EQ(change.num_blocks, reference_.blocks[holder].size() - before);
  }

  // Removes a block of the holder that has no child there, as a cache does.
  void RemoveLeaf(HolderId holder) {
    const std::vector<BlockHash>& chain = family_.chain(random_);
    const uint32_t held = reference_.Walk(holder, chain);
    if (held == 0 || family_.HasChildIn(reference_.blocks[holder], chain[held - 1])) return;
    EXPECT_EQ(tree_.Remove(holder, chain[held - 1]).num_blocks, 1u);
    reference_.blocks[holder].erase(chain[held - 1]);
  }

  void Replace(size_t at) {
    tree_.Retire(holders_[at]);
    reference_.blocks.erase(holders_[at]);
    tree_.Reclaim(random_() % 20);
    while (!tree_.Reclaim(7)) {
    }
    holders_[at] = *tree_.AddHolder();
  }

  std::mt19937 random_{GetParam()};
  ChainFamily family_{GetParam(), 24, 40};
  PrefixTree tree_{SmallTree()};
  Reference reference_;
  std::vector<HolderId> holders_;
};

TEST_P(PrefixTreePropertyTest, EqualsAReferenceMapOfSets) {
  const size_t bytes_before = tree_.bytes();
  for (int i = 0; i < 5; ++i) holders_.push_back(*tree_.AddHolder());
  for (int step = 0; step < kSteps; ++step) {
    Step(step);
    if (step % 500 == 0) tree_.CheckInvariants();
    if (HasFailure()) FAIL() << "at step " << step;
  }
  for (const HolderId holder : holders_) {
    BlockHash hash_xor;
    for (const BlockHash& hash : reference_.blocks[holder]) hash_xor = hash_xor ^ hash;
    EXPECT_EQ(tree_.num_blocks(holder), reference_.blocks[holder].size());
    EXPECT_EQ(tree_.hash_xor(holder), hash_xor);
    tree_.Retire(holder);
  }
  while (!tree_.Reclaim(100)) {
  }
  tree_.CheckInvariants();
  EXPECT_EQ(tree_.num_indexed_blocks(), 0u);
  EXPECT_EQ(tree_.bytes(), bytes_before);
}

// A worker that lies in every way it can: nothing breaks, counts stay true.
TEST_P(PrefixTreePropertyTest, SurvivesAnythingAHolderMaySay) {
  const HolderId honest = *tree_.AddHolder();
  holders_.push_back(*tree_.AddHolder());
  const std::vector<BlockHash> kept = MakeChain(GetParam() + 1000, 50);
  tree_.Store(honest, std::nullopt, kept, 1);
  for (int step = 0; step < kSteps; ++step) {
    const std::vector<BlockHash>& chain = family_.chain(random_);
    const std::vector<BlockHash>& other = family_.chain(random_);
    const size_t from = random_() % chain.size();
    if (random_() % 2 == 0) {
      tree_.Remove(holders_[0], chain[from]);
    } else {
      std::optional<BlockHash> parent;
      if (random_() % 2 == 0) parent = other[random_() % other.size()];
      tree_.Store(holders_[0], parent, std::span(chain).subspan(from), 1);
    }
    if (step % 500 == 0) tree_.CheckInvariants();
  }
  tree_.CheckInvariants();
  EXPECT_EQ(MatchOf(tree_, kept)[honest], 50u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PrefixTreePropertyTest, ::testing::Range(1u, 33u));

}  // namespace
}  // namespace banyan::router
