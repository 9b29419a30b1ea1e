// Remembers the tokens of words that were encoded before. A cache serves one call at a time without
// locks; the pool lends caches to concurrent calls and is thread-safe. Bounded:
// WordCache::kNumSlots slots of 64 bytes each, at most `num_caches_max` in a pool; a call that
// finds none goes without.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/token.h"

namespace banyan {

// A word of 1 to 32 bytes as four numbers; equal keys mean equal words.
struct WordKey {
  static constexpr size_t kBytesMax = 32;

  uint64_t parts[4] = {};
  uint8_t size = 0;

  explicit WordKey(std::string_view word) : size(static_cast<uint8_t>(word.size())) {
    const char* p = word.data();
    const size_t n = word.size();
    if (n > 16) {
      parts[0] = Load<uint64_t>(p);
      parts[1] = Load<uint64_t>(p + 8);
      parts[2] = Load<uint64_t>(p + n - 16);
      parts[3] = Load<uint64_t>(p + n - 8);
    } else if (n >= 8) {
      parts[0] = Load<uint64_t>(p);
      parts[1] = Load<uint64_t>(p + n - 8);
    } else if (n >= 4) {
      parts[0] = Load<uint32_t>(p) | uint64_t{Load<uint32_t>(p + n - 4)} << 32;
    } else {
      const auto byte = [p](size_t i) { return uint64_t{static_cast<uint8_t>(p[i])}; };
      parts[0] = byte(0) | byte(n / 2) << 8 | byte(n - 1) << 16;
    }
  }

  uint64_t Hash() const {
    uint64_t hash = (parts[0] ^ parts[1] * 0x9E3779B97F4A7C15u) + size;
    hash ^= parts[2] * 0xD6E8FEB86659FD93u ^ (parts[3] << 32 | parts[3] >> 32);
    hash *= 0xA0761D6478BD642Fu;
    return hash ^ hash >> 32;
  }

 private:
  template <typename T>
  static T Load(const char* p) {
    T value;
    std::memcpy(&value, p, sizeof value);
    return value;
  }
};

class WordCache {
 public:
  static constexpr size_t kNumSlots = 1u << 15;
  static constexpr size_t kTokensMax = 6;

  struct alignas(64) Slot {
    uint64_t parts[4] = {};
    uint8_t size = 0;  // 0: empty
    uint8_t num_tokens = 0;
    TokenId tokens[kTokensMax] = {};

    bool Holds(const WordKey& key) const {
      return ((parts[0] ^ key.parts[0]) | (parts[1] ^ key.parts[1]) | (parts[2] ^ key.parts[2]) |
              (parts[3] ^ key.parts[3]) | static_cast<uint64_t>(size ^ key.size)) == 0;
    }
    // `word_tokens` has at most kTokensMax.
    void Fill(const WordKey& key, std::span<const TokenId> word_tokens) {
      std::memcpy(parts, key.parts, sizeof parts);
      size = key.size;
      num_tokens = static_cast<uint8_t>(word_tokens.size());
      std::copy(word_tokens.begin(), word_tokens.end(), tokens);
    }
  };

  WordCache() : slots_(kNumSlots) {}

  // The slot that holds or would hold the word.
  Slot& At(const WordKey& key) { return slots_[key.Hash() & (kNumSlots - 1)]; }

 private:
  std::vector<Slot> slots_;
};
static_assert(sizeof(WordCache::Slot) == 64);

class WordCachePool {
 public:
  explicit WordCachePool(size_t num_caches_max) : num_caches_max_(num_caches_max) {}

  // A lent cache, given back when this dies; null when all are lent.
  class Lease {
   public:
    Lease(WordCachePool& pool, std::unique_ptr<WordCache> cache)
        : pool_(pool), cache_(std::move(cache)) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease();
    WordCache* get() const { return cache_.get(); }

   private:
    WordCachePool& pool_;
    std::unique_ptr<WordCache> cache_;
  };
  Lease Borrow();

 private:
  const size_t num_caches_max_;
  std::mutex mutex_;
  size_t num_caches_ = 0;                         // made so far
  std::vector<std::unique_ptr<WordCache>> free_;  // the warmest last
};

}  // namespace banyan
