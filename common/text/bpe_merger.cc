#include "common/text/bpe_merger.h"

#include <algorithm>
#include <functional>

namespace banyan {
namespace {

// Up to here the scan's squared cost stays below the heap's overhead.
constexpr size_t kScanSymbolsMax = 32;
constexpr uint32_t kNone = UINT32_MAX;

}  // namespace

void BpeMerger::Merge(const MergeTable& merges, std::vector<TokenId>& symbols) {
  if (symbols.size() < 2) return;
  if (symbols.size() <= kScanSymbolsMax) {
    MergeByScan(merges, symbols);
  } else {
    MergeByHeap(merges, symbols);
  }
}

void BpeMerger::MergeByScan(const MergeTable& merges, std::vector<TokenId>& symbols) {
  uint32_t ranks[kScanSymbolsMax];
  TokenId* ids = symbols.data();
  size_t size = symbols.size();
  for (size_t i = 0; i + 1 < size; ++i) ranks[i] = merges.Rank(ids[i], ids[i + 1]);
  while (size > 1) {
    num_steps_ += static_cast<int64_t>(size);
    size_t best = 0;
    for (size_t i = 1; i + 1 < size; ++i) {
      if (ranks[i] < ranks[best]) best = i;
    }
    if (ranks[best] == kNoMerge) break;
    ids[best] = merges.Merged(ranks[best]);
    for (size_t i = best + 1; i + 1 < size; ++i) {
      ids[i] = ids[i + 1];
      ranks[i] = ranks[i + 1];
    }
    --size;
    if (best > 0) ranks[best - 1] = merges.Rank(ids[best - 1], ids[best]);
    if (best + 1 < size) ranks[best] = merges.Rank(ids[best], ids[best + 1]);
  }
  symbols.resize(size);
}

void BpeMerger::MergeByHeap(const MergeTable& merges, std::vector<TokenId>& symbols) {
  const auto size = static_cast<uint32_t>(symbols.size());
  ranks_.assign(size, kNoMerge);
  next_.resize(size);
  previous_.resize(size);
  heap_.clear();
  for (uint32_t i = 0; i < size; ++i) {
    next_[i] = i + 1 < size ? i + 1 : kNone;
    previous_[i] = i > 0 ? i - 1 : kNone;
    if (i + 1 < size) ranks_[i] = merges.Rank(symbols[i], symbols[i + 1]);
    if (ranks_[i] != kNoMerge) heap_.push_back(uint64_t{ranks_[i]} << 32 | i);
  }
  num_steps_ += size;
  std::make_heap(heap_.begin(), heap_.end(), std::greater<>());

  const auto rank_again = [&](uint32_t at) {
    ranks_[at] = next_[at] == kNone ? kNoMerge : merges.Rank(symbols[at], symbols[next_[at]]);
    if (ranks_[at] == kNoMerge) return;
    heap_.push_back(uint64_t{ranks_[at]} << 32 | at);
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  };
  while (!heap_.empty()) {
    ++num_steps_;
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const auto at = static_cast<uint32_t>(heap_.back());
    const auto rank = static_cast<uint32_t>(heap_.back() >> 32);
    heap_.pop_back();
    if (ranks_[at] != rank) continue;
    const uint32_t gone = next_[at];
    symbols[at] = merges.Merged(rank);
    symbols[gone] = -1;
    ranks_[gone] = kNoMerge;
    next_[at] = next_[gone];
    if (next_[at] != kNone) previous_[next_[at]] = at;
    rank_again(at);
    if (previous_[at] != kNone) rank_again(previous_[at]);
  }
  std::erase(symbols, -1);
}

}  // namespace banyan
