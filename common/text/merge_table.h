// The merges of a BPE model: which pairs of tokens join, in which order, to what. Immutable and
// thread-safe once filled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/base/token.h"

namespace banyan {

inline constexpr uint32_t kMergeRanksMax = (1u << 24) - 1;
inline constexpr uint32_t kNoMerge = UINT32_MAX;

// Entries of 8 bytes: 20 bits of each id and 24 of rank, so that a big table stays in cache.
class MergeTable {
 public:
  explicit MergeTable(size_t num_merges_max);

  // The pair (left, right) joins to `merged` with `rank`, lower first; a pair that is there already
  // gets the new rank, as the last of equal lines wins in Hugging Face's reader. Equal ranks must
  // have equal `merged`. Ids below 2^20, ranks up to kMergeRanksMax, at most num_merges_max pairs.
  void Add(TokenId left, TokenId right, uint32_t rank, TokenId merged);

  // kNoMerge when the pair does not join.
  uint32_t Rank(TokenId left, TokenId right) const {
    const uint64_t key = Key(left, right);
    for (size_t i = Start(key);; i = (i + 1) & mask_) {
      const uint64_t entry = entries_[i];
      if (entry >> 24 == key) return static_cast<uint32_t>(entry & 0xFFFFFF);
      if (entry == kEmpty) return kNoMerge;
    }
  }
  TokenId Merged(uint32_t rank) const { return merged_[rank]; }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;
  static uint64_t Key(TokenId left, TokenId right) {
    return static_cast<uint64_t>(left) << 20 | static_cast<uint64_t>(right);
  }
  size_t Start(uint64_t key) const { return key * 0x9E3779B97F4A7C15u >> shift_; }

  int shift_;
  size_t mask_;
  std::vector<uint64_t> entries_;
  std::vector<TokenId> merged_;  // by rank
};

}  // namespace banyan
