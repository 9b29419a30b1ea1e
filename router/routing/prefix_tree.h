// Who holds which prefix: a run-compressed radix tree over chained block hashes.
//
// A run is a chain of blocks without a branch inside. A hash is chained over everything before it,
// so equal hashes mean equal prefixes: the next hash finds the child run through the index (there
// are no child maps), and one comparison at its end tells whether a whole run matches. A cache is
// closed under prefixes (leaves go first), so what a holder has of a run is one number.
//
// A holder is one incarnation of one worker's cache. A resync takes a new holder and retires the
// old one, which is out of all matches at once and is reclaimed piece by piece.
//
// Invariants (CheckInvariants): every block of every run is in the index, once; holder counts are
// in [1, run length]; a childless run is as long as its largest count; a holder's list names
// exactly the runs that name it; bytes() is the sum over all parts.
//
// Thread-compatible: calls of const methods may overlap (Match stamps runs atomically).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/base/block_hash.h"
#include "router/routing/block_index.h"

namespace banyan::router {

using HolderId = uint16_t;

class PrefixTree {
 public:
  struct Options {
    // Beyond it the leaf runs matched longest ago are dropped. At most 16 GiB.
    size_t bytes_max = size_t{1} << 30;
    int index_segment_bits = 14;
    HolderId holders_max = 65'535;
  };
  enum class StoreError {
    kNone,
    kUnknownParent,  // the holder does not have the parent
    kConflict,       // a block stands elsewhere in the tree: no honest chain has that
  };
  // What a call changed for its holder: number of blocks and XOR of their hashes.
  struct Change {
    uint64_t num_blocks = 0;
    BlockHash hash_xor;
    StoreError error = StoreError::kNone;
  };

  // Longest run. Splitting one moves its head's index entries, so this bounds a writer's pause.
  static constexpr size_t kRunBlocksMax = 1024;

  explicit PrefixTree(const Options& options);

  // Absent: all ids are taken.
  std::optional<HolderId> AddHolder();
  // Takes the holder out of all matches at once; its id is free again when Reclaim got through it.
  void Retire(HolderId holder);
  // Frees up to `runs_max` entries of retired holders. True when nothing is left to free.
  bool Reclaim(size_t runs_max);

  // The holder has `hashes`, each the child of the one before, the first the child of `parent`
  // (absent: it starts a sequence). Blocks it had already are not counted again. `tick` is the
  // time of use for eviction, in any unit that grows.
  Change Store(HolderId holder, const std::optional<BlockHash>& parent,
               std::span<const BlockHash> hashes, uint32_t tick);
  // The holder no longer has `hash`, nor what follows it in the same run. Changes nothing when it
  // did not have it.
  Change Remove(HolderId holder, const BlockHash& hash);

  // depth[h] = how many of `hashes`, from the first, holder h has. Grows `depth` to num_holders()
  // and overwrites it.
  void Match(std::span<const BlockHash> hashes, uint32_t tick, std::vector<uint32_t>& depth) const;

  // Whether the byte bound took blocks from the holder: what it has is then not known in full.
  bool truncated(HolderId holder) const { return holders_[holder].truncated; }
  uint64_t num_blocks(HolderId holder) const { return holders_[holder].num_blocks; }
  const BlockHash& hash_xor(HolderId holder) const { return holders_[holder].hash_xor; }
  // One more than the largest id in use.
  size_t num_holders() const { return holders_.size(); }
  size_t num_runs() const { return num_runs_; }
  size_t num_indexed_blocks() const { return index_.size(); }
  size_t bytes() const { return bytes_ + index_.bytes(); }
  size_t bytes_max() const { return options_.bytes_max; }
  uint64_t num_evicted_runs() const { return num_evicted_runs_; }

  // Aborts with what is wrong. Linear in the tree.
  void CheckInvariants() const;

 private:
  struct HolderEntry {
    uint32_t count = 0;  // the holder has the first `count` blocks of the run
    uint32_t back = 0;   // position of the run in the holder's list
    HolderId holder = 0;
  };
  struct Run {
    std::vector<BlockHash> hashes;
    std::vector<HolderEntry> entries;
    uint32_t parent = kNone;  // the run that ends where this one begins
    uint32_t children = 0;
    uint32_t last_match = 0;
    uint16_t base = 0;  // index offsets are relative to base: a split leaves the tail's as they are
    bool live = false;
  };
  struct Holder {
    std::vector<uint32_t> runs;
    uint64_t num_blocks = 0;
    BlockHash hash_xor;
    bool used = false;
    bool alive = false;  // used and not retired
    bool truncated = false;
  };
  // Just after `position` blocks of `run`; run kNone is the root.
  struct Cursor {
    uint32_t run;
    uint32_t position;
  };
  static constexpr uint32_t kNone = ~uint32_t{0};
  static constexpr uint32_t kChunkRuns = 1024;

  Run& run_at(uint32_t id) { return chunks_[id / kChunkRuns][id % kChunkRuns]; }
  const Run& run_at(uint32_t id) const { return chunks_[id / kChunkRuns][id % kChunkRuns]; }
  static size_t BytesOf(const Run& run) {
    return run.hashes.capacity() * sizeof(BlockHash) + run.entries.capacity() * sizeof(HolderEntry);
  }
  // Run and position of a block in it.
  std::optional<Cursor> Find(const BlockHash& hash) const;
  static HolderEntry* FindEntry(Run& run, HolderId holder);

  uint32_t AllocateRun();
  void FreeRun(uint32_t id);
  // Blocks [from, to) of the run became the holder's; its entry is made if there is none.
  void Extend(uint32_t id, HolderId holder, uint32_t to, Change& change);
  void DropEntry(uint32_t id, HolderId holder);
  void Subtract(HolderId holder, const Run& run, uint32_t from, uint32_t to, Change* change);
  // Cuts the run in two at `position` and returns the new run, which is the head.
  uint32_t Split(uint32_t id, uint32_t position);
  // Steps over blocks that the tree has; the number of them, or kConflict in `change`.
  size_t Follow(HolderId holder, std::span<const BlockHash> hashes, Cursor& cursor, Change& change,
                uint32_t tick);
  // Appends one run's worth of new blocks at `cursor`; the number of them, 0 when none fits.
  size_t Append(HolderId holder, std::span<const BlockHash> hashes, Cursor& cursor, Change& change,
                uint32_t tick);
  // Cuts off what nobody holds at the end of a childless run, and so on upwards.
  void Trim(uint32_t id);
  void EvictToBound();
  bool EvictOneLeaf();
  void ReleaseIfEmpty();

  const Options options_;
  BlockIndex index_;
  std::vector<std::unique_ptr<Run[]>> chunks_;
  std::vector<uint32_t> free_runs_;
  std::vector<Holder> holders_;
  std::vector<HolderId> retired_;
  size_t num_runs_ = 0;
  size_t bytes_ = 0;  // without the index
  uint32_t eviction_hand_ = 0;
  uint64_t num_evicted_runs_ = 0;
};

}  // namespace banyan::router
