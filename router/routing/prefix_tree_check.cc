// The tree's invariants, spelled out; a file of its own because only tests walk it all.
#include <algorithm>

#include "common/base/check.h"
#include "router/routing/prefix_tree.h"

namespace banyan::router {

void PrefixTree::CheckInvariants() const {
  size_t num_runs = 0;
  size_t num_blocks = 0;
  size_t num_entries = 0;
  size_t bytes = chunks_.size() * (kChunkRuns * (sizeof(Run) + sizeof(uint32_t)) + sizeof(void*));
  const auto num_slots = static_cast<uint32_t>(chunks_.size()) * kChunkRuns;
  std::vector<uint32_t> children(num_slots, 0);
  for (uint32_t id = 0; id < num_slots; ++id) {
    const Run& run = run_at(id);
    if (!run.live) continue;
    ++num_runs;
    num_blocks += run.hashes.size();
    num_entries += run.entries.size();
    bytes += BytesOf(run);
    BANYAN_CHECK(!run.hashes.empty()) << "run " << id << " is empty";
    BANYAN_CHECK_LE(run.base + run.hashes.size(), kRunBlocksMax) << "run " << id;
    if (run.parent != kNone) {
      BANYAN_CHECK(run_at(run.parent).live) << "parent of run " << id;
      ++children[run.parent];
    }
    for (uint32_t i = 0; i < run.hashes.size(); ++i) {
      const std::optional<Cursor> place = Find(run.hashes[i]);
      BANYAN_CHECK(place.has_value() && place->run == id && place->position == i)
          << "block " << i << " of run " << id << " is indexed elsewhere";
    }
    uint32_t longest = 0;
    for (const HolderEntry& entry : run.entries) {
      BANYAN_CHECK(entry.count > 0 && entry.count <= run.hashes.size()) << "run " << id;
      BANYAN_CHECK_EQ(holders_[entry.holder].runs.at(entry.back), id);
      longest = std::max(longest, entry.count);
    }
    if (run.children == 0) BANYAN_CHECK_EQ(longest, run.hashes.size()) << "run " << id;
  }
  for (uint32_t id = 0; id < num_slots; ++id) BANYAN_CHECK_EQ(children[id], run_at(id).children);
  size_t num_listed = 0;
  for (const Holder& holder : holders_) {
    num_listed += holder.runs.size();
    bytes += holder.runs.capacity() * sizeof(uint32_t);
    uint64_t held = 0;
    for (const uint32_t id : holder.runs) {
      for (const HolderEntry& entry : run_at(id).entries) {
        if (&holders_[entry.holder] == &holder) held += entry.count;
      }
    }
    BANYAN_CHECK_EQ(held, holder.num_blocks);
  }
  BANYAN_CHECK_EQ(num_runs, num_runs_);
  BANYAN_CHECK_EQ(num_blocks, index_.size());
  BANYAN_CHECK_EQ(num_entries, num_listed);
  BANYAN_CHECK_EQ(bytes, bytes_);
}

}  // namespace banyan::router
