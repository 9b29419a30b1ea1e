#include "worker/cache/radix_cache.h"

#include <algorithm>

#include "common/base/check.h"

namespace banyan::worker {

BlockRef& BlockRef::operator=(BlockRef&& other) noexcept {
  if (this != &other) {
    Release();
    cache_ = std::exchange(other.cache_, nullptr);
    id_ = other.id_;
  }
  return *this;
}

BlockRef BlockRef::Share() const {
  BANYAN_CHECK(cache_ != nullptr);
  return cache_->Hold(id_);
}

void BlockRef::Release() {
  if (cache_ != nullptr) std::exchange(cache_, nullptr)->ReleaseOne(id_);
}

RadixCache::RadixCache(const RadixCacheOptions& options, CacheEventLog& log)
    : options_(options), log_(log), pool_(options.num_blocks) {
  BANYAN_CHECK_GE(options.block_size, 1);
  nodes_.resize(static_cast<size_t>(options.num_blocks));
  if (options.index) {
    tokens_.resize(static_cast<size_t>(options.num_blocks) *
                   static_cast<size_t>(options.block_size));
    index_.reserve(static_cast<size_t>(options.num_blocks));
  }
}

std::optional<BlockRef> RadixCache::Allocate() {
  if (pool_.num_free() == 0) {
    if (idle_leaves_.empty()) return std::nullopt;
    Evict(idle_leaves_.begin()->second);
    ++num_evicted_;
  }
  return BlockRef(this, *pool_.Take());
}

// Calls visit(block) for each block of the longest cached prefix, in order.
template <typename Visit>
void RadixCache::Walk(const PrefixKey& key, Visit visit) const {
  const size_t size = static_cast<size_t>(options_.block_size);
  FullBlock full;
  full.parent_hash = key.salt;
  for (size_t i = 0; i < key.hashes.size(); ++i) {
    full.hash = key.hashes[i];
    full.tokens = key.tokens.subspan(i * size, size);
    const std::optional<BlockId> block = Find(full);
    if (!block.has_value() || !Holds(*block, full)) return;
    visit(*block);
    full.parent = block;
    full.parent_hash = full.hash;
  }
}

PrefixHit RadixCache::Peek(const PrefixKey& key) const {
  PrefixHit hit;
  Walk(key, [&](BlockId block) {
    ++hit.num_blocks;
    if (pool_.refs(block) == 0) ++hit.num_idle;
  });
  return hit;
}

std::vector<BlockRef> RadixCache::Match(const PrefixKey& key) {
  std::vector<BlockRef> blocks;
  Walk(key, [&](BlockId block) { blocks.push_back(Hold(block)); });
  return blocks;
}

RadixCache::InsertResult RadixCache::Insert(const FullBlock& full, BlockRef& block) {
  BANYAN_CHECK(!IsFindable(block.id())) << "inserted twice";
  BANYAN_CHECK_EQ(full.tokens.size(), static_cast<size_t>(options_.block_size));
  if (!options_.index) return InsertResult::kRefused;
  if (full.parent.has_value() && !IsFindable(*full.parent)) return InsertResult::kRefused;
  if (const std::optional<BlockId> found = Find(full); found.has_value()) {
    if (!Holds(*found, full)) return InsertResult::kRefused;
    block = Hold(*found);
    return InsertResult::kShared;
  }
  BANYAN_CHECK_EQ(NumHolders(block), 1) << "a full block is inserted by its writer";
  Node& node = NodeOf(block.id());
  node.hash = full.hash;
  node.parent_hash = full.parent_hash;
  node.parent = full.parent;
  node.num_children = 0;
  node.findable = true;
  std::copy(full.tokens.begin(), full.tokens.end(),
            tokens_.begin() + static_cast<ptrdiff_t>(block.id()) * options_.block_size);
  index_.emplace(full.hash, block.id());
  if (full.parent.has_value()) {
    BANYAN_CHECK_GT(pool_.refs(*full.parent), 0) << "the caller holds the parent";
    ++NodeOf(*full.parent).num_children;
  }
  log_.RecordStored({block.id(), full.hash, full.parent, full.parent_hash});
  return InsertResult::kStored;
}

void RadixCache::Clear() {
  if (index_.empty()) return;
  for (const auto& [hash, block] : index_) {
    NodeOf(block) = Node{};
    if (pool_.refs(block) == 0) pool_.Free(block);
  }
  index_.clear();
  idle_leaves_.clear();
  num_idle_ = 0;
  log_.RecordCleared();
}

void RadixCache::CheckInvariants() const {
  pool_.CheckInvariants();
  std::vector<int32_t> num_children(nodes_.size(), 0);
  int32_t num_idle = 0;
  size_t num_idle_leaves = 0;
  for (const auto& [hash, block] : index_) {
    const Node& node = NodeOf(block);
    BANYAN_CHECK(node.findable && node.hash == hash && !pool_.is_free(block));
    const bool idle = pool_.refs(block) == 0;
    const bool idle_leaf = idle && node.num_children == 0;
    if (idle) ++num_idle;
    if (idle_leaf) ++num_idle_leaves;
    BANYAN_CHECK_EQ(idle_leaves_.contains({node.released_at, block}), idle_leaf);
    if (!node.parent.has_value()) continue;
    const Node& parent = NodeOf(*node.parent);
    BANYAN_CHECK(parent.findable && parent.hash == node.parent_hash);
    BANYAN_CHECK(idle || pool_.refs(*node.parent) > 0) << "a held block below an idle one";
    ++num_children[static_cast<size_t>(*node.parent)];
  }
  BANYAN_CHECK_EQ(num_idle, num_idle_);
  BANYAN_CHECK_EQ(num_idle_leaves, idle_leaves_.size());
  size_t num_findable = 0;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const BlockId block{static_cast<int32_t>(i)};
    BANYAN_CHECK_EQ(num_children[i], nodes_[i].num_children);
    if (nodes_[i].findable) ++num_findable;
    BANYAN_CHECK(nodes_[i].findable || pool_.is_free(block) || pool_.refs(block) > 0)
        << "block " << i << " is neither free, held nor findable";
  }
  BANYAN_CHECK_EQ(num_findable, index_.size());
}

std::span<const TokenId> RadixCache::TokensOf(BlockId block) const {
  const size_t size = static_cast<size_t>(options_.block_size);
  return std::span(tokens_).subspan(static_cast<size_t>(block) * size, size);
}

// Equal hashes are not enough: the KV of `block` is that of `full` only if tokens and ancestors
// are.
bool RadixCache::Holds(BlockId block, const FullBlock& full) const {
  const Node& node = NodeOf(block);
  return node.parent == full.parent && node.parent_hash == full.parent_hash &&
         std::ranges::equal(TokensOf(block), full.tokens);
}

std::optional<BlockId> RadixCache::Find(const FullBlock& full) const {
  const auto found = index_.find(full.hash);
  if (found == index_.end()) return std::nullopt;
  return found->second;
}

BlockRef RadixCache::Hold(BlockId block) {
  if (pool_.refs(block) == 0) {
    const Node& node = NodeOf(block);
    BANYAN_CHECK(node.findable);
    --num_idle_;
    if (node.num_children == 0) idle_leaves_.erase({node.released_at, block});
  }
  pool_.Ref(block);
  return BlockRef(this, block);
}

void RadixCache::ReleaseOne(BlockId block) {
  if (pool_.Unref(block) > 0) return;
  Node& node = NodeOf(block);
  if (!node.findable) {
    pool_.Free(block);
    return;
  }
  node.released_at = ++tick_;
  ++num_idle_;
  if (node.num_children == 0) idle_leaves_.insert({node.released_at, block});
}

void RadixCache::Evict(BlockId leaf) {
  Node& node = NodeOf(leaf);
  idle_leaves_.erase({node.released_at, leaf});
  index_.erase(node.hash);
  --num_idle_;
  if (node.parent.has_value()) {
    Node& parent = NodeOf(*node.parent);
    if (--parent.num_children == 0 && pool_.refs(*node.parent) == 0) {
      idle_leaves_.insert({parent.released_at, *node.parent});
    }
  }
  log_.RecordRemoved(leaf, node.hash);
  node = Node{};
  pool_.Free(leaf);
}

void ReleaseBlocks(std::vector<BlockRef>& blocks) {
  while (!blocks.empty()) blocks.pop_back();
}

}  // namespace banyan::worker
