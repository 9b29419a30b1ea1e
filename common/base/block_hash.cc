#include "common/base/block_hash.h"

#include <xxhash.h>

#include <bit>
#include <cstring>

#include "absl/strings/str_format.h"
#include "common/base/check.h"

namespace banyan {
namespace {

static_assert(std::endian::native == std::endian::little,
              "token ids are hashed from memory, which must be little-endian");

constexpr size_t kHashBytes = 16;

}  // namespace

std::string BlockHash::ToBytes() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH128_hash_t{low, high});
  return std::string(reinterpret_cast<const char*>(canonical.digest), kHashBytes);
}

std::string BlockHash::ToHex() const { return absl::StrFormat("%016x%016x", high, low); }

BlockHash BlockHash::FromBytes(std::string_view bytes) {
  BANYAN_CHECK_EQ(bytes.size(), kHashBytes);
  XXH128_canonical_t canonical;
  std::memcpy(canonical.digest, bytes.data(), kHashBytes);
  const XXH128_hash_t hash = XXH128_hashFromCanonical(&canonical);
  return {hash.high64, hash.low64};
}

BlockHash HashBlock(const BlockHash& parent, std::span<const TokenId> tokens) {
  // Blocks are small (16 tokens by default); the buffer covers the largest permitted block of 256.
  constexpr size_t kTokensMax = 256;
  BANYAN_CHECK_LE(tokens.size(), kTokensMax);
  unsigned char buffer[kHashBytes + kTokensMax * sizeof(TokenId)];
  std::memcpy(buffer, parent.ToBytes().data(), kHashBytes);
  std::memcpy(buffer + kHashBytes, tokens.data(), tokens.size_bytes());
  const XXH128_hash_t hash = XXH3_128bits(buffer, kHashBytes + tokens.size_bytes());
  return {hash.high64, hash.low64};
}

std::vector<BlockHash> HashBlocks(const BlockHash& salt, std::span<const TokenId> tokens,
                                  int block_size) {
  BANYAN_CHECK_GT(block_size, 0);
  const size_t size = static_cast<size_t>(block_size);
  std::vector<BlockHash> hashes;
  hashes.reserve(tokens.size() / size);
  BlockHash parent = salt;
  for (size_t begin = 0; begin + size <= tokens.size(); begin += size) {
    parent = HashBlock(parent, tokens.subspan(begin, size));
    hashes.push_back(parent);
  }
  return hashes;
}

}  // namespace banyan
