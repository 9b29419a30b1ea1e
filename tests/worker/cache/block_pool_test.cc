#include "worker/cache/block_pool.h"

#include <gtest/gtest.h>

namespace banyan::worker {
namespace {

TEST(BlockPoolTest, GivesEachBlockOnceAndThenNone) {
  BlockPool pool(3);
  std::vector<BlockId> taken;
  for (int i = 0; i < 3; ++i) taken.push_back(*pool.Take());
  EXPECT_FALSE(pool.Take().has_value());
  EXPECT_EQ(taken, (std::vector<BlockId>{BlockId{0}, BlockId{1}, BlockId{2}}));
  pool.CheckInvariants();
}

TEST(BlockPoolTest, ABlockReturnsOnlyWhenItsHolderFreesIt) {
  BlockPool pool(1);
  const BlockId block = *pool.Take();
  pool.Ref(block);
  EXPECT_EQ(pool.Unref(block), 1);
  EXPECT_EQ(pool.Unref(block), 0);
  EXPECT_EQ(pool.num_free(), 0);
  pool.Free(block);
  EXPECT_EQ(pool.num_free(), 1);
  pool.CheckInvariants();
}

TEST(BlockPoolDeathTest, FreeingAHeldOrFreeBlockAborts) {
  BlockPool pool(2);
  const BlockId block = *pool.Take();
  EXPECT_DEATH(pool.Free(block), "check failed");
  pool.Unref(block);
  pool.Free(block);
  EXPECT_DEATH(pool.Free(block), "freed twice");
}

}  // namespace
}  // namespace banyan::worker
