// What happens to a worker's prefix cache, as its watchers see it. Plain data.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/block_hash.h"

namespace banyan::worker {

// One event. `parent` is the hash before the first of `hashes` (the salt where a sequence starts);
// each further hash is the child of the one before. kRemoved lists children before parents and has
// no parent; kCleared has neither.
struct CacheEvent {
  enum class Kind : uint8_t { kStored, kRemoved, kCleared };
  Kind kind = Kind::kStored;
  BlockHash parent;
  bool starts_sequence = false;  // kStored: `parent` is a salt
  std::vector<BlockHash> hashes;

  friend bool operator==(const CacheEvent&, const CacheEvent&) = default;
};

}  // namespace banyan::worker
