#include "worker/cache/block_pool.h"

#include "common/base/check.h"

namespace banyan::worker {

BlockPool::BlockPool(int32_t num_blocks) {
  BANYAN_CHECK_GE(num_blocks, 1);
  refs_.assign(static_cast<size_t>(num_blocks), 0);
  is_free_.assign(static_cast<size_t>(num_blocks), 1);
  free_.reserve(static_cast<size_t>(num_blocks));
  for (int32_t i = num_blocks - 1; i >= 0; --i) free_.push_back(BlockId{i});
}

std::optional<BlockId> BlockPool::Take() {
  if (free_.empty()) return std::nullopt;
  const BlockId block = free_.back();
  free_.pop_back();
  is_free_[Index(block)] = 0;
  refs_[Index(block)] = 1;
  return block;
}

void BlockPool::Ref(BlockId block) {
  BANYAN_CHECK(!is_free(block)) << "block " << static_cast<int32_t>(block);
  ++refs_[Index(block)];
}

int32_t BlockPool::Unref(BlockId block) {
  BANYAN_CHECK_GT(refs(block), 0) << "block " << static_cast<int32_t>(block);
  return --refs_[Index(block)];
}

void BlockPool::Free(BlockId block) {
  BANYAN_CHECK(!is_free(block)) << "block " << static_cast<int32_t>(block) << " freed twice";
  BANYAN_CHECK_EQ(refs(block), 0) << "block " << static_cast<int32_t>(block);
  is_free_[Index(block)] = 1;
  free_.push_back(block);
}

void BlockPool::CheckInvariants() const {
  std::vector<uint8_t> on_list(refs_.size(), 0);
  for (const BlockId block : free_) {
    BANYAN_CHECK(on_list[Index(block)] == 0) << "on the free list twice";
    on_list[Index(block)] = 1;
  }
  for (size_t i = 0; i < refs_.size(); ++i) {
    BANYAN_CHECK_EQ(int{on_list[i]}, int{is_free_[i]}) << "block " << i;
    BANYAN_CHECK_GE(refs_[i], 0) << "block " << i;
    BANYAN_CHECK(is_free_[i] == 0 || refs_[i] == 0) << "free block " << i << " is held";
  }
}

size_t BlockPool::Index(BlockId block) const {
  const size_t index = static_cast<size_t>(block);
  BANYAN_CHECK_LT(index, refs_.size());
  return index;
}

}  // namespace banyan::worker
