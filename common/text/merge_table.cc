#include "common/text/merge_table.h"

#include <bit>

#include "common/base/check.h"

namespace banyan {

MergeTable::MergeTable(size_t num_merges_max) {
  const size_t capacity = std::bit_ceil(num_merges_max * 2 + 2);
  shift_ = 64 - std::countr_zero(capacity);
  mask_ = capacity - 1;
  entries_.assign(capacity, kEmpty);
}

void MergeTable::Add(TokenId left, TokenId right, uint32_t rank, TokenId merged) {
  BANYAN_CHECK(rank <= kMergeRanksMax && left >= 0 && left < 1 << 20 && right >= 0 &&
               right < 1 << 20);
  if (merged_.size() <= rank) merged_.resize(size_t{rank} + 1, -1);
  merged_[rank] = merged;
  const uint64_t key = Key(left, right);
  size_t i = Start(key);
  while (entries_[i] != kEmpty && entries_[i] >> 24 != key) i = (i + 1) & mask_;
  entries_[i] = key << 24 | rank;
}

}  // namespace banyan
