#include "worker/cache/radix_cache.h"

#include <gtest/gtest.h>

#include <random>

namespace banyan::worker {
namespace {

constexpr int32_t kBlockSize = 4;

class RadixCacheTest : public ::testing::Test {
 protected:
  // A sequence of `num_blocks` blocks whose tokens are `first`, first + 1, ...
  struct Chain {
    BlockHash salt;
    std::vector<TokenId> tokens;
    std::vector<BlockHash> hashes;

    PrefixKey Key() const { return {salt, hashes, tokens}; }
  };

  static Chain MakeChain(TokenId first, int num_blocks, BlockHash salt = {}) {
    Chain chain;
    chain.salt = salt;
    for (int i = 0; i < num_blocks * kBlockSize; ++i) chain.tokens.push_back(first + i);
    chain.hashes = HashBlocks(salt, chain.tokens, kBlockSize);
    return chain;
  }

  // Computes what is missing of the chain and returns all its blocks, held.
  std::vector<BlockRef> Store(const Chain& chain) {
    std::vector<BlockRef> blocks = cache_.Match(chain.Key());
    for (size_t i = blocks.size(); i < chain.hashes.size(); ++i) {
      std::optional<BlockRef> block = cache_.Allocate();
      EXPECT_TRUE(block.has_value());
      blocks.push_back(std::move(*block));
      Insert(chain, i, blocks);
    }
    cache_.CheckInvariants();
    return blocks;
  }

  RadixCache::InsertResult Insert(const Chain& chain, size_t i, std::vector<BlockRef>& blocks) {
    FullBlock full;
    if (i > 0) full.parent = blocks[i - 1].id();
    full.parent_hash = i == 0 ? chain.salt : chain.hashes[i - 1];
    full.hash = chain.hashes[i];
    full.tokens = std::span(chain.tokens).subspan(i * kBlockSize, kBlockSize);
    return cache_.Insert(full, blocks[i]);
  }

  int32_t Found(const Chain& chain) const { return cache_.Peek(chain.Key()).num_blocks; }

  CacheEventLog log_{8, 1 << 20};
  RadixCache cache_{{8, kBlockSize}, log_};
};

TEST_F(RadixCacheTest, FindsTheLongestCommonPrefix) {
  const Chain chain = MakeChain(0, 3);
  std::vector<BlockRef> held = Store(chain);
  Chain other = chain;
  other.tokens[9] = 99;
  other.hashes = HashBlocks({}, other.tokens, kBlockSize);
  EXPECT_EQ(Found(chain), 3);
  EXPECT_EQ(Found(other), 2);
  EXPECT_EQ(cache_.Match(other.Key())[1].id(), held[1].id());
}

TEST_F(RadixCacheTest, BlocksStayFindableWhenTheirHolderIsGone) {
  const Chain chain = MakeChain(0, 3);
  std::vector<BlockRef> blocks = Store(chain);
  ReleaseBlocks(blocks);
  EXPECT_EQ(Found(chain), 3);
  EXPECT_EQ(cache_.num_held(), 0);
  EXPECT_EQ(cache_.num_idle(), 3);
  EXPECT_EQ(cache_.num_available(), 8);
}

TEST_F(RadixCacheTest, EvictsOldestUnlockedLeafFirst) {
  std::vector<BlockRef> old_chain = Store(MakeChain(0, 2));
  std::vector<BlockRef> new_chain = Store(MakeChain(100, 2));
  std::vector<BlockRef> locked = Store(MakeChain(200, 2));
  ReleaseBlocks(old_chain);
  ReleaseBlocks(new_chain);
  std::vector<BlockRef> others;
  for (int i = 0; i < 2; ++i) others.push_back(*cache_.Allocate());
  EXPECT_EQ(cache_.num_evicted(), 0u) << "two blocks were free";
  others.push_back(*cache_.Allocate());
  EXPECT_EQ(Found(MakeChain(0, 2)), 1) << "the child goes, the parent stays";
  others.push_back(*cache_.Allocate());
  EXPECT_EQ(Found(MakeChain(0, 2)), 0);
  EXPECT_EQ(Found(MakeChain(100, 2)), 2);
  others.push_back(*cache_.Allocate());
  others.push_back(*cache_.Allocate());
  EXPECT_FALSE(cache_.Allocate().has_value()) << "held blocks are never evicted";
  EXPECT_EQ(Found(MakeChain(200, 2)), 2);
  cache_.CheckInvariants();
}

TEST_F(RadixCacheTest, AHitMakesAPrefixYoung) {
  std::vector<BlockRef> a = Store(MakeChain(0, 4));
  std::vector<BlockRef> b = Store(MakeChain(100, 4));
  ReleaseBlocks(a);
  ReleaseBlocks(b);
  std::vector<BlockRef> again = cache_.Match(MakeChain(0, 4).Key());
  ReleaseBlocks(again);
  const BlockRef fresh = *cache_.Allocate();
  EXPECT_EQ(Found(MakeChain(0, 4)), 4);
  EXPECT_EQ(Found(MakeChain(100, 4)), 3);
}

TEST_F(RadixCacheTest, AnEqualHashWithOtherTokensIsAMiss) {
  const Chain chain = MakeChain(0, 2);
  std::vector<BlockRef> held = Store(chain);
  Chain forged = chain;  // same hashes, other tokens: what a collision would be
  forged.tokens[5] = 77;
  EXPECT_EQ(Found(forged), 1);
  std::vector<BlockRef> blocks = cache_.Match(forged.Key());
  blocks.push_back(*cache_.Allocate());
  EXPECT_EQ(Insert(forged, 1, blocks), RadixCache::InsertResult::kRefused);
  EXPECT_EQ(Found(chain), 2);
  cache_.CheckInvariants();
}

TEST_F(RadixCacheTest, AnEqualHashUnderAnotherSaltIsAMiss) {
  const Chain chain = MakeChain(0, 1);
  std::vector<BlockRef> held = Store(chain);
  Chain forged = chain;
  forged.salt = {5, 5};
  EXPECT_EQ(Found(forged), 0);
  EXPECT_EQ(Found(MakeChain(0, 1, {5, 5})), 0) << "salted hashes differ";
}

TEST_F(RadixCacheTest, TheSecondWriterOfABlockSharesTheFirstOnes) {
  const Chain chain = MakeChain(0, 1);
  std::vector<BlockRef> first;
  std::vector<BlockRef> second;
  first.push_back(*cache_.Allocate());
  second.push_back(*cache_.Allocate());
  EXPECT_EQ(Insert(chain, 0, first), RadixCache::InsertResult::kStored);
  EXPECT_EQ(Insert(chain, 0, second), RadixCache::InsertResult::kShared);
  EXPECT_EQ(first[0].id(), second[0].id());
  EXPECT_EQ(cache_.num_held(), 1);
  cache_.CheckInvariants();
}

TEST_F(RadixCacheTest, WithoutAnIndexNothingIsFound) {
  CacheEventLog log(4, 1 << 20);
  RadixCache cache({4, kBlockSize, false}, log);
  const Chain chain = MakeChain(0, 1);
  std::optional<BlockRef> block = cache.Allocate();
  FullBlock full;
  full.hash = chain.hashes[0];
  full.tokens = chain.tokens;
  EXPECT_EQ(cache.Insert(full, *block), RadixCache::InsertResult::kRefused);
  EXPECT_EQ(cache.Peek(chain.Key()).num_blocks, 0);
  block.reset();
  EXPECT_EQ(cache.num_available(), 4);
}

TEST_F(RadixCacheTest, ClearForgetsAllAndLeavesHeldBlocksToTheirHolders) {
  std::vector<BlockRef> held = Store(MakeChain(0, 2));
  std::vector<BlockRef> idle = Store(MakeChain(100, 2));
  ReleaseBlocks(idle);
  cache_.Clear();
  cache_.CheckInvariants();
  EXPECT_EQ(cache_.num_findable(), 0);
  EXPECT_EQ(cache_.num_held(), 2);
  // Its parent is not findable any more: the next block cannot be either.
  const Chain longer = MakeChain(0, 3);
  held.push_back(*cache_.Allocate());
  EXPECT_EQ(Insert(longer, 2, held), RadixCache::InsertResult::kRefused);
  ReleaseBlocks(held);
  EXPECT_EQ(cache_.num_available(), 8);
}

TEST_F(RadixCacheTest, KeepsItsInvariantsUnderRandomUse) {
  std::mt19937 random(7);
  std::vector<std::vector<BlockRef>> held;
  for (int step = 0; step < 3'000; ++step) {
    Chain chain =
        MakeChain(static_cast<TokenId>(random() % 3) * 100, 1 + static_cast<int>(random() % 3));
    if (random() % 2 == 0) {
      chain.tokens.back() += static_cast<TokenId>(random() % 4);
      chain.hashes = HashBlocks({}, chain.tokens, kBlockSize);
    }
    const PrefixHit hit = cache_.Peek(chain.Key());
    const int32_t missing = static_cast<int32_t>(chain.hashes.size()) - hit.num_blocks;
    if (missing + hit.num_idle <= cache_.num_available()) {
      held.push_back(Store(chain));
    } else if (!held.empty()) {
      const size_t victim = random() % held.size();
      ReleaseBlocks(held[victim]);
      held.erase(held.begin() + static_cast<ptrdiff_t>(victim));
    }
    cache_.CheckInvariants();
  }
  EXPECT_GT(cache_.num_evicted(), 0u);
  for (std::vector<BlockRef>& blocks : held) ReleaseBlocks(blocks);
  EXPECT_EQ(cache_.num_available(), 8);
}

}  // namespace
}  // namespace banyan::worker
