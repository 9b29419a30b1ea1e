// Block chains for tests of the router: hashes made as the real ones are, from made-up tokens.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <span>
#include <vector>

#include "common/base/block_hash.h"

namespace banyan::router {

inline std::vector<BlockHash> ExtendChain(std::span<const BlockHash> head, uint64_t seed,
                                          size_t count) {
  std::vector<BlockHash> chain(head.begin(), head.end());
  BlockHash parent = head.empty() ? BlockHash{} : head.back();
  for (size_t i = 0; i < count; ++i) {
    const TokenId tokens[] = {static_cast<TokenId>(seed), static_cast<TokenId>(i)};
    parent = HashBlock(parent, tokens);
    chain.push_back(parent);
  }
  return chain;
}

inline std::vector<BlockHash> MakeChain(uint64_t seed, size_t count) {
  return ExtendChain({}, seed, count);
}

// Chains that share prefixes with each other, as prompts do.
class ChainFamily {
 public:
  ChainFamily(uint32_t seed, size_t num_chains, size_t length_max) {
    std::mt19937 random(seed);
    for (size_t i = 0; i < num_chains; ++i) {
      std::span<const BlockHash> head;
      if (i > 0 && random() % 4 != 0) {
        const std::vector<BlockHash>& base = chains_[random() % i];
        head = std::span(base).first(random() % (base.size() + 1));
      }
      chains_.push_back(ExtendChain(head, seed * 1000 + i, 1 + random() % length_max));
      const std::vector<BlockHash>& chain = chains_.back();
      for (size_t k = 1; k < chain.size(); ++k) children_[chain[k - 1]].insert(chain[k]);
    }
  }

  const std::vector<std::vector<BlockHash>>& chains() const { return chains_; }
  const std::vector<BlockHash>& chain(std::mt19937& random) const {
    return chains_[random() % chains_.size()];
  }
  bool HasChildIn(const std::set<BlockHash>& held, const BlockHash& hash) const {
    const auto found = children_.find(hash);
    if (found == children_.end()) return false;
    for (const BlockHash& child : found->second) {
      if (held.contains(child)) return true;
    }
    return false;
  }

 private:
  std::vector<std::vector<BlockHash>> chains_;
  std::map<BlockHash, std::set<BlockHash>> children_;
};

}  // namespace banyan::router
