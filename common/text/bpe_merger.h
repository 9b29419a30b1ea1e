// Joins the symbols of one word by a merge table: lowest rank first, leftmost first among equals
// (Sennrich et al. 2016). Scratch memory of one encoding call: one thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "common/text/merge_table.h"

namespace banyan {

class BpeMerger {
 public:
  // Replaces `symbols` by what is left after all merges. Short words by scanning for the lowest
  // rank, longer ones by a heap: O(n log n) on any input.
  void Merge(const MergeTable& merges, std::vector<TokenId>& symbols);

  // Elementary steps (symbols scanned, heap entries popped) since construction.
  int64_t num_steps() const { return num_steps_; }

 private:
  void MergeByScan(const MergeTable& merges, std::vector<TokenId>& symbols);
  void MergeByHeap(const MergeTable& merges, std::vector<TokenId>& symbols);

  std::vector<uint32_t> ranks_;     // of the pair that begins at a symbol; kNoMerge: none
  std::vector<uint32_t> next_;      // symbol after this one
  std::vector<uint32_t> previous_;  // symbol before this one
  std::vector<uint64_t> heap_;      // rank << 32 | symbol, least on top; stale entries are skipped
  int64_t num_steps_ = 0;
};

}  // namespace banyan
