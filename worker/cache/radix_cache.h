// The paged KV memory of one engine: a pool of blocks and a radix tree over the full ones, so that
// a prefix that was computed once is found again. A node of the tree is one block; the edge to it
// is its block hash (common/base/block_hash.h), which is chained, so looking a hash up finds the
// node without walking from the root.
//
// Owned by the engine thread; no locks. Memory is taken at creation and does not grow: per block
// one node (56 bytes), its tokens, and one entry each in index and LRU order.
//
// A block is in exactly one of three states:
//   free     nobody holds it, it is not findable
//   held     one or more BlockRefs; findable once it is full and inserted
//   idle     findable, nobody holds it: memory that can be taken back
//
// Invariants:
//   - who holds a findable block holds all its ancestors; so below an idle block all are idle, and
//     every idle block can be evicted, leaves first;
//   - a findable block's tokens, parent and hash are kept and are never written again;
//   - two findable blocks never have the same hash.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/block_hash.h"
#include "common/base/token.h"
#include "worker/cache/block_pool.h"
#include "worker/cache/cache_event_log.h"

namespace banyan::worker {

class RadixCache;

// Holds a block: while it lives, the block is neither evicted nor reused. Move-only; dies before
// its cache.
class BlockRef {
 public:
  BlockRef() = default;
  BlockRef(BlockRef&& other) noexcept
      : cache_(std::exchange(other.cache_, nullptr)), id_(other.id_) {}
  BlockRef& operator=(BlockRef&& other) noexcept;
  ~BlockRef() { Release(); }

  BlockId id() const { return id_; }
  // One more holder of the same block.
  BlockRef Share() const;

 private:
  friend class RadixCache;
  BlockRef(RadixCache* cache, BlockId id) : cache_(cache), id_(id) {}
  void Release();

  RadixCache* cache_ = nullptr;
  BlockId id_{};
};

struct RadixCacheOptions {
  int32_t num_blocks = 0;
  int32_t block_size = 16;  // tokens per block, B
  bool index = true;        // false: nothing is ever found
};

// A prefix to look up: the first hashes.size() blocks of `tokens`.
struct PrefixKey {
  BlockHash salt;
  std::span<const BlockHash> hashes;
  std::span<const TokenId> tokens;  // at least hashes.size() * B
};

// What a look-up found: whole blocks from the start.
struct PrefixHit {
  int32_t num_blocks = 0;
  int32_t num_idle = 0;  // of these, held by nobody: holding them takes them from what is available
};

// A full block to be made findable.
struct FullBlock {
  std::optional<BlockId> parent;    // the block before it; absent at the start of a sequence
  BlockHash parent_hash;            // or the salt
  BlockHash hash;                   // of the block
  std::span<const TokenId> tokens;  // [B]
};

class RadixCache {
 public:
  // `log` hears of every change and outlives the cache.
  RadixCache(const RadixCacheOptions& options, CacheEventLog& log);

  // A block to write to, held by the result alone. Takes a free one, else evicts the idle leaf that
  // was released longest ago. Absent when every block is held. O(log blocks).
  std::optional<BlockRef> Allocate();

  // Finds the longest cached prefix without holding it. O(blocks found).
  PrefixHit Peek(const PrefixKey& key) const;
  // Finds and holds it.
  std::vector<BlockRef> Match(const PrefixKey& key);

  enum class InsertResult {
    kStored,   // findable from now on
    kShared,   // an equal block was there already: `block` now holds that one, its own is freed
    kRefused,  // not findable: hash collision, or the parent is not findable (any more)
  };
  // Makes a computed full block findable. The caller holds `block`, which it alone may write to,
  // and the parent.
  InsertResult Insert(const FullBlock& full, BlockRef& block);

  // Forgets everything; held blocks stay with their holders.
  void Clear();

  // Holders of the block; it may be written to where this is 1 and it is not findable.
  int32_t NumHolders(const BlockRef& block) const { return pool_.refs(block.id()); }
  bool IsFindable(BlockId block) const { return NodeOf(block).findable; }
  bool is_indexed() const { return options_.index; }

  int32_t num_blocks() const { return pool_.num_blocks(); }
  int32_t block_size() const { return options_.block_size; }
  // Blocks that Allocate() can give: free and idle ones.
  int32_t num_available() const { return pool_.num_free() + num_idle_; }
  int32_t num_held() const { return pool_.num_blocks() - num_available(); }
  int32_t num_idle() const { return num_idle_; }
  int32_t num_findable() const { return static_cast<int32_t>(index_.size()); }
  uint64_t num_evicted() const { return num_evicted_; }

  // Aborts when an invariant of pool or tree is broken. O(blocks).
  void CheckInvariants() const;

 private:
  friend class BlockRef;

  struct Node {
    BlockHash hash;
    BlockHash parent_hash;
    std::optional<BlockId> parent;
    int32_t num_children = 0;
    bool findable = false;
    uint64_t released_at = 0;  // tick of the last release
  };

  Node& NodeOf(BlockId block) { return nodes_[static_cast<size_t>(block)]; }
  const Node& NodeOf(BlockId block) const { return nodes_[static_cast<size_t>(block)]; }
  std::span<const TokenId> TokensOf(BlockId block) const;
  bool Holds(BlockId block, const FullBlock& full) const;
  std::optional<BlockId> Find(const FullBlock& full) const;
  template <typename Visit>
  void Walk(const PrefixKey& key, Visit visit) const;
  BlockRef Hold(BlockId block);
  void ReleaseOne(BlockId block);
  void Evict(BlockId leaf);

  const RadixCacheOptions options_;
  CacheEventLog& log_;
  BlockPool pool_;
  std::vector<Node> nodes_;      // by block
  std::vector<TokenId> tokens_;  // [blocks, B], of findable blocks
  std::unordered_map<BlockHash, BlockId> index_;
  std::set<std::pair<uint64_t, BlockId>> idle_leaves_;  // oldest release first
  int32_t num_idle_ = 0;
  uint64_t tick_ = 0;
  uint64_t num_evicted_ = 0;
};

// Releases from the back: children before parents, so that the head of a prefix counts as used last
// and is evicted last.
void ReleaseBlocks(std::vector<BlockRef>& blocks);

}  // namespace banyan::worker
