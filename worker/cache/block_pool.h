// The pool of KV blocks: who is free and how many hold each of the others. It knows nothing of what
// a block contains. Owned by the engine thread; no locks.
//
// Invariants: a free block has no references and stands on the free list once; every other block is
// in use with zero or more references (zero: kept by the prefix cache alone).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/base/token.h"

namespace banyan::worker {

class BlockPool {
 public:
  // `num_blocks` >= 1; all memory is taken here (5 bytes a block and the free list).
  explicit BlockPool(int32_t num_blocks);

  // Takes a free block with one reference; absent when none is free. The block freed last comes
  // first.
  std::optional<BlockId> Take();
  // Adds a reference to a block in use.
  void Ref(BlockId block);
  // Drops a reference and returns how many are left. At zero the block is still in use: the caller
  // frees it or keeps it.
  int32_t Unref(BlockId block);
  // Returns a block in use without references to the free list.
  void Free(BlockId block);

  int32_t num_blocks() const { return static_cast<int32_t>(refs_.size()); }
  int32_t num_free() const { return static_cast<int32_t>(free_.size()); }
  int32_t refs(BlockId block) const { return refs_[Index(block)]; }
  bool is_free(BlockId block) const { return is_free_[Index(block)] != 0; }

  // Aborts when an invariant is broken. O(blocks).
  void CheckInvariants() const;

 private:
  size_t Index(BlockId block) const;

  std::vector<int32_t> refs_;
  std::vector<uint8_t> is_free_;
  std::vector<BlockId> free_;  // a stack
};

}  // namespace banyan::worker
