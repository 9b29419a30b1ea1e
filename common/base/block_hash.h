// The identity of a full KV block: a 128-bit hash chained over the blocks before it.
//
// Version 1: XXH3-128 over the parent's 16 bytes followed by the block's token ids as int32
// little-endian. The parent of a sequence's first block is the cache salt, which separates tenants
// and models. Workers and routers compute the same value; it is the unit of cache events and of the
// router's tree. XXH3 is not cryptographic: whoever serves KV by this hash compares the tokens too.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/token.h"

namespace banyan {

inline constexpr uint32_t kBlockHashVersion = 1;

struct BlockHash {
  uint64_t high = 0;
  uint64_t low = 0;

  friend auto operator<=>(const BlockHash&, const BlockHash&) = default;
  friend BlockHash operator^(const BlockHash& a, const BlockHash& b) {
    return {a.high ^ b.high, a.low ^ b.low};
  }
  template <typename H>
  friend H AbslHashValue(H state, const BlockHash& hash) {
    return H::combine(std::move(state), hash.high, hash.low);
  }

  // The 16 bytes on the wire: big-endian, high word first (XXH128's canonical form).
  std::string ToBytes() const;
  // 32 lower-case hex digits, for logs.
  std::string ToHex() const;
  // `bytes` must be 16 bytes long.
  static BlockHash FromBytes(std::string_view bytes);
};

// Hash of one full block. `tokens` has exactly the block size.
BlockHash HashBlock(const BlockHash& parent, std::span<const TokenId> tokens);

// Hashes of all full blocks at the head of `tokens`, in order; a partial last block has none.
std::vector<BlockHash> HashBlocks(const BlockHash& salt, std::span<const TokenId> tokens,
                                  int block_size);

}  // namespace banyan

template <>
struct std::hash<banyan::BlockHash> {
  size_t operator()(const banyan::BlockHash& value) const noexcept {
    return static_cast<size_t>(value.low);
  }
};
