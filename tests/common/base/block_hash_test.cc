#include "common/base/block_hash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace banyan {
namespace {

std::vector<TokenId> Iota(int count) {
  std::vector<TokenId> tokens(static_cast<size_t>(count));
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

// Made with Python's xxhash.xxh3_128(bytes(16) + int32 little-endian 0..15): the definition of
// version 1.
TEST(BlockHashTest, IsXxh3OfParentAndLittleEndianTokens) {
  EXPECT_EQ(HashBlock(BlockHash{}, Iota(16)).ToHex(), "16d310809c3605d60b49a1755bdbc8b2");
}

TEST(BlockHashTest, ChainDependsOnSaltAndOnEveryEarlierBlock) {
  const std::vector<TokenId> tokens = Iota(48);
  const std::vector<BlockHash> hashes = HashBlocks(BlockHash{}, tokens, 16);
  ASSERT_EQ(hashes.size(), 3u);
  EXPECT_EQ(hashes[1], HashBlock(hashes[0], std::span(tokens).subspan(16, 16)));

  std::vector<TokenId> changed = tokens;
  changed[0] = 7;
  const std::vector<BlockHash> other = HashBlocks(BlockHash{}, changed, 16);
  const std::vector<BlockHash> salted = HashBlocks(BlockHash{1, 2}, tokens, 16);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NE(hashes[i], other[i]);
    EXPECT_NE(hashes[i], salted[i]);
  }
}

TEST(BlockHashTest, PartialLastBlockHasNoHash) {
  EXPECT_TRUE(HashBlocks(BlockHash{}, Iota(15), 16).empty());
  EXPECT_EQ(HashBlocks(BlockHash{}, Iota(31), 16).size(), 1u);
  EXPECT_TRUE(HashBlocks(BlockHash{}, {}, 16).empty());
}

TEST(BlockHashTest, WireBytesAreBigEndianAndRoundTrip) {
  const BlockHash hash{0x0102030405060708, 0x090a0b0c0d0e0f10};
  const std::string bytes = hash.ToBytes();
  ASSERT_EQ(bytes.size(), 16u);
  for (size_t i = 0; i < 16; ++i) EXPECT_EQ(bytes[i], static_cast<char>(i + 1));
  EXPECT_EQ(BlockHash::FromBytes(bytes), hash);
}

}  // namespace
}  // namespace banyan
