#include "router/routing/prefix_tree.h"

#include <algorithm>
#include <atomic>

#include "common/base/check.h"

namespace banyan::router {
namespace {

// Leaves that one eviction compares. With fewer runs the oldest leaf goes, exactly.
constexpr uint32_t kEvictionWindowRuns = 64;

void Add(PrefixTree::Change& change, const BlockHash& hash) {
  ++change.num_blocks;
  change.hash_xor = change.hash_xor ^ hash;
}

}  // namespace

PrefixTree::PrefixTree(const Options& options)
    : options_(options), index_(options.index_segment_bits) {}

std::optional<HolderId> PrefixTree::AddHolder() {
  size_t id = 0;
  while (id < holders_.size() && holders_[id].used) ++id;
  if (id == options_.holders_max) return std::nullopt;
  if (id == holders_.size()) holders_.emplace_back();
  holders_[id].used = holders_[id].alive = true;
  return static_cast<HolderId>(id);
}

void PrefixTree::Retire(HolderId holder) {
  if (!holders_[holder].alive) return;
  holders_[holder].alive = false;
  retired_.push_back(holder);
}

bool PrefixTree::Reclaim(size_t runs_max) {
  while (!retired_.empty()) {
    const HolderId id = retired_.back();
    Holder& holder = holders_[id];
    while (!holder.runs.empty()) {
      if (runs_max-- == 0) return false;
      const uint32_t run = holder.runs.back();
      DropEntry(run, id);
      Trim(run);
    }
    bytes_ -= holder.runs.capacity() * sizeof(uint32_t);
    holder = Holder{};
    retired_.pop_back();
  }
  while (!holders_.empty() && !holders_.back().used) holders_.pop_back();
  ReleaseIfEmpty();
  return true;
}

PrefixTree::Change PrefixTree::Store(HolderId holder, const std::optional<BlockHash>& parent,
                                     std::span<const BlockHash> hashes, uint32_t tick) {
  Change change;
  BANYAN_CHECK(holder < holders_.size() && holders_[holder].alive) << "holder " << holder;
  Cursor cursor{kNone, 0};
  if (parent.has_value()) {
    const std::optional<Cursor> place = Find(*parent);
    const HolderEntry* entry = place.has_value() ? FindEntry(run_at(place->run), holder) : nullptr;
    if (entry == nullptr || entry->count <= place->position) {
      change.error = StoreError::kUnknownParent;
      return change;
    }
    cursor = {place->run, place->position + 1};
  }
  while (!hashes.empty() && change.error == StoreError::kNone) {
    size_t num_done = Follow(holder, hashes, cursor, change, tick);
    if (num_done == 0 && change.error == StoreError::kNone) {
      num_done = Append(holder, hashes, cursor, change, tick);
      if (num_done == 0) break;
    }
    hashes = hashes.subspan(num_done);
  }
  EvictToBound();
  return change;
}

size_t PrefixTree::Follow(HolderId holder, std::span<const BlockHash> hashes, Cursor& cursor,
                          Change& change, uint32_t tick) {
  const std::optional<Cursor> place = Find(hashes[0]);
  if (!place.has_value()) return 0;
  Run& run = run_at(place->run);
  const bool follows =
      place->position == 0
          ? run.parent == cursor.run &&
                (cursor.run == kNone || cursor.position == run_at(cursor.run).hashes.size())
          : place->run == cursor.run && place->position == cursor.position;
  const HolderEntry* entry = FindEntry(run, holder);
  const uint32_t held = entry == nullptr ? 0 : entry->count;
  // A holder that lost the middle of a run may not go on behind the hole.
  if (!follows || held < place->position) {
    change.error = StoreError::kConflict;
    return 0;
  }
  uint32_t end = place->position;
  while (end < run.hashes.size() && end - place->position < hashes.size() &&
         run.hashes[end] == hashes[end - place->position]) {
    ++end;
  }
  run.last_match = tick;
  Extend(place->run, holder, end, change);
  cursor = {place->run, end};
  return end - place->position;
}

size_t PrefixTree::Append(HolderId holder, std::span<const BlockHash> hashes, Cursor& cursor,
                          Change& change, uint32_t tick) {
  uint32_t id = cursor.run;
  if (id != kNone && cursor.position < run_at(id).hashes.size()) id = Split(id, cursor.position);
  const bool extend = id != kNone && run_at(id).children == 0 &&
                      run_at(id).base + run_at(id).hashes.size() < kRunBlocksMax;
  if (!extend) {
    const uint32_t parent = id;
    id = AllocateRun();
    run_at(id).parent = parent;
    if (parent != kNone) ++run_at(parent).children;
  }
  Run& run = run_at(id);
  run.last_match = tick;
  const size_t room = kRunBlocksMax - run.base - run.hashes.size();
  const size_t wanted = std::min(room, hashes.size());
  bytes_ -= BytesOf(run);
  if (run.hashes.capacity() < run.hashes.size() + wanted) {
    // A chain that grows block by block (decoding) grows in steps of a quarter.
    const size_t slack = run.hashes.empty() ? 0 : std::min(room - wanted, run.hashes.size() / 4);
    run.hashes.reserve(run.hashes.size() + wanted + slack);
  }
  size_t num_done = 0;
  for (; num_done < wanted; ++num_done) {
    const BlockHash& hash = hashes[num_done];
    if (num_done > 0 && Find(hash).has_value()) {
      change.error = StoreError::kConflict;
      break;
    }
    const auto offset = static_cast<uint16_t>(run.base + run.hashes.size());
    run.hashes.push_back(hash);
    if (!index_.Insert(hash, {id, offset})) {
      run.hashes.pop_back();
      holders_[holder].truncated = true;
      break;
    }
  }
  bytes_ += BytesOf(run);
  const auto length = static_cast<uint32_t>(run.hashes.size());
  if (num_done > 0) Extend(id, holder, length, change);
  cursor = {id, length};
  if (num_done == 0) Trim(id);
  return num_done;
}

PrefixTree::Change PrefixTree::Remove(HolderId holder, const BlockHash& hash) {
  Change change;
  const std::optional<Cursor> place = Find(hash);
  if (!place.has_value()) return change;
  Run& run = run_at(place->run);
  HolderEntry* entry = FindEntry(run, holder);
  if (entry == nullptr || entry->count <= place->position) return change;
  Subtract(holder, run, place->position, entry->count, &change);
  entry->count = place->position;
  if (entry->count == 0) DropEntry(place->run, holder);
  Trim(place->run);
  return change;
}

void PrefixTree::Match(std::span<const BlockHash> hashes, uint32_t tick,
                       std::vector<uint32_t>& depth) const {
  depth.assign(holders_.size(), 0);
  uint32_t at = 0;
  while (at < hashes.size()) {
    const std::optional<Cursor> place = Find(hashes[at]);
    if (!place.has_value() || place->position != 0) break;
    const Run& run = run_at(place->run);
    const size_t overlap = std::min(run.hashes.size(), hashes.size() - at);
    size_t matched = overlap;
    if (run.hashes[overlap - 1] != hashes[at + overlap - 1]) {
      // The first block is equal and the last is not: find where they part.
      size_t equal = 0;
      size_t unequal = overlap - 1;
      while (unequal - equal > 1) {
        const size_t middle = (equal + unequal) / 2;
        (run.hashes[middle] == hashes[at + middle] ? equal : unequal) = middle;
      }
      matched = equal + 1;
    }
    std::atomic_ref<uint32_t>(const_cast<uint32_t&>(run.last_match))
        .store(tick, std::memory_order_relaxed);
    for (const HolderEntry& entry : run.entries) {
      if (depth[entry.holder] == at) {
        depth[entry.holder] = at + std::min(entry.count, static_cast<uint32_t>(matched));
      }
    }
    at += static_cast<uint32_t>(matched);
    if (matched < run.hashes.size()) break;
  }
  for (size_t id = 0; id < holders_.size(); ++id) {
    if (!holders_[id].alive) depth[id] = 0;
  }
}

std::optional<PrefixTree::Cursor> PrefixTree::Find(const BlockHash& hash) const {
  const auto place = index_.Find(hash, [&](BlockIndex::Place candidate) {
    const Run& run = run_at(candidate.run);
    return run.hashes[static_cast<size_t>(candidate.offset - run.base)] == hash;
  });
  if (!place.has_value()) return std::nullopt;
  return Cursor{place->run, static_cast<uint32_t>(place->offset - run_at(place->run).base)};
}

PrefixTree::HolderEntry* PrefixTree::FindEntry(Run& run, HolderId holder) {
  for (HolderEntry& entry : run.entries) {
    if (entry.holder == holder) return &entry;
  }
  return nullptr;
}

uint32_t PrefixTree::AllocateRun() {
  if (free_runs_.empty()) {
    const auto first = static_cast<uint32_t>(chunks_.size()) * kChunkRuns;
    chunks_.push_back(std::make_unique<Run[]>(kChunkRuns));
    // Run, its place in the free list and in the chunk list.
    bytes_ += kChunkRuns * (sizeof(Run) + sizeof(uint32_t)) + sizeof(void*);
    for (uint32_t i = kChunkRuns; i-- > 0;) free_runs_.push_back(first + i);
  }
  const uint32_t id = free_runs_.back();
  free_runs_.pop_back();
  run_at(id).live = true;
  ++num_runs_;
  return id;
}

void PrefixTree::FreeRun(uint32_t id) {
  Run& run = run_at(id);
  bytes_ -= BytesOf(run);
  run = Run{};
  free_runs_.push_back(id);
  --num_runs_;
}

void PrefixTree::Extend(uint32_t id, HolderId holder, uint32_t to, Change& change) {
  Run& run = run_at(id);
  HolderEntry* entry = FindEntry(run, holder);
  Holder& state = holders_[holder];
  if (entry == nullptr) {
    bytes_ -= BytesOf(run) + state.runs.capacity() * sizeof(uint32_t);
    if (run.entries.empty()) run.entries.reserve(1);
    run.entries.push_back({0, static_cast<uint32_t>(state.runs.size()), holder});
    state.runs.push_back(id);
    bytes_ += BytesOf(run) + state.runs.capacity() * sizeof(uint32_t);
    entry = &run.entries.back();
  }
  Change added;
  for (uint32_t i = entry->count; i < to; ++i) Add(added, run.hashes[i]);
  entry->count = std::max(entry->count, to);
  state.num_blocks += added.num_blocks;
  state.hash_xor = state.hash_xor ^ added.hash_xor;
  change.num_blocks += added.num_blocks;
  change.hash_xor = change.hash_xor ^ added.hash_xor;
}

void PrefixTree::Subtract(HolderId holder, const Run& run, uint32_t from, uint32_t to,
                          Change* change) {
  Change removed;
  for (uint32_t i = from; i < to; ++i) Add(removed, run.hashes[i]);
  holders_[holder].num_blocks -= removed.num_blocks;
  holders_[holder].hash_xor = holders_[holder].hash_xor ^ removed.hash_xor;
  if (change != nullptr) *change = removed;
}

void PrefixTree::DropEntry(uint32_t id, HolderId holder) {
  Run& run = run_at(id);
  HolderEntry* entry = FindEntry(run, holder);
  BANYAN_CHECK(entry != nullptr) << "run " << id << " has no holder " << holder;
  Subtract(holder, run, 0, entry->count, nullptr);
  std::vector<uint32_t>& list = holders_[holder].runs;
  const uint32_t back = entry->back;
  *entry = run.entries.back();
  run.entries.pop_back();
  list[back] = list.back();
  list.pop_back();
  if (back < list.size()) FindEntry(run_at(list[back]), holder)->back = back;
}

uint32_t PrefixTree::Split(uint32_t id, uint32_t position) {
  const uint32_t head_id = AllocateRun();
  Run& run = run_at(id);
  Run& head = run_at(head_id);
  bytes_ -= BytesOf(run);
  const auto cut = run.hashes.begin() + position;
  head.hashes.assign(run.hashes.begin(), cut);
  run.hashes = std::vector<BlockHash>(cut, run.hashes.end());
  head.parent = run.parent;
  head.children = 1;
  head.last_match = run.last_match;
  head.base = run.base;
  run.parent = head_id;
  run.base = static_cast<uint16_t>(run.base + position);
  for (uint32_t i = 0; i < position; ++i) {
    const auto offset = static_cast<uint16_t>(head.base + i);
    index_.Update(head.hashes[i], {id, offset}, {head_id, offset});
  }
  head.entries.reserve(run.entries.size());
  std::vector<HolderEntry> tail_entries;
  for (const HolderEntry& entry : run.entries) {
    std::vector<uint32_t>& list = holders_[entry.holder].runs;
    if (entry.count <= position) {
      head.entries.push_back(entry);
      list[entry.back] = head_id;
      continue;
    }
    bytes_ -= list.capacity() * sizeof(uint32_t);
    head.entries.push_back({position, static_cast<uint32_t>(list.size()), entry.holder});
    list.push_back(head_id);
    bytes_ += list.capacity() * sizeof(uint32_t);
    tail_entries.push_back({entry.count - position, entry.back, entry.holder});
  }
  run.entries = std::move(tail_entries);
  bytes_ += BytesOf(run) + BytesOf(head);
  return head_id;
}

void PrefixTree::Trim(uint32_t id) {
  while (id != kNone) {
    Run& run = run_at(id);
    if (run.children > 0) return;
    uint32_t keep = 0;
    for (const HolderEntry& entry : run.entries) keep = std::max(keep, entry.count);
    for (uint32_t i = keep; i < run.hashes.size(); ++i) {
      index_.Erase(run.hashes[i], {id, static_cast<uint16_t>(run.base + i)});
    }
    if (keep > 0) {
      bytes_ -= BytesOf(run);
      run.hashes.resize(keep);
      if (run.hashes.capacity() > 2 * size_t{keep}) run.hashes.shrink_to_fit();
      bytes_ += BytesOf(run);
      return;
    }
    const uint32_t parent = run.parent;
    FreeRun(id);
    if (parent != kNone) --run_at(parent).children;
    id = parent;
  }
}

void PrefixTree::EvictToBound() {
  while (bytes() > options_.bytes_max && EvictOneLeaf()) {
  }
}

bool PrefixTree::EvictOneLeaf() {
  const auto num_slots = static_cast<uint32_t>(chunks_.size()) * kChunkRuns;
  uint32_t oldest = kNone;
  uint32_t num_seen = 0;
  for (uint32_t i = 0; i < num_slots && num_seen < kEvictionWindowRuns; ++i) {
    eviction_hand_ = (eviction_hand_ + 1) % num_slots;
    const Run& run = run_at(eviction_hand_);
    if (!run.live || run.children > 0) continue;
    ++num_seen;
    if (oldest == kNone || run.last_match < run_at(oldest).last_match) oldest = eviction_hand_;
  }
  if (oldest == kNone) return false;
  while (!run_at(oldest).entries.empty()) {
    const HolderId holder = run_at(oldest).entries.back().holder;
    holders_[holder].truncated = true;
    DropEntry(oldest, holder);
  }
  Trim(oldest);
  ++num_evicted_runs_;
  ReleaseIfEmpty();
  return true;
}

void PrefixTree::ReleaseIfEmpty() {
  if (num_runs_ > 0 || chunks_.empty()) return;
  bytes_ -= chunks_.size() * (kChunkRuns * (sizeof(Run) + sizeof(uint32_t)) + sizeof(void*));
  chunks_ = std::vector<std::unique_ptr<Run[]>>();
  free_runs_ = std::vector<uint32_t>();
  eviction_hand_ = 0;
}

}  // namespace banyan::router
