// Tokens by id and ids by token: one arena of bytes and one open-addressing table. Immutable and
// thread-safe once filled.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/token.h"

namespace banyan {

// Ids are packed in 20 bits by the merge table.
inline constexpr int32_t kVocabularySizeMax = 1 << 20;

// A 64-bit mix of a word, for tables that are not open to attack: a collision costs time only.
uint64_t HashWord(std::string_view word);

class Vocabulary {
 public:
  // Token of `id` is tokens[id].
  explicit Vocabulary(const std::vector<std::string>& tokens);

  int32_t size() const { return static_cast<int32_t>(starts_.size()) - 1; }
  // `id` in [0, size()).
  std::string_view Token(TokenId id) const {
    const auto i = static_cast<size_t>(id);
    return std::string_view(bytes_).substr(starts_[i], starts_[i + 1] - starts_[i]);
  }
  // Makes `id` the answer to Find(Token(id)), unless another id already is.
  void Index(TokenId id);
  std::optional<TokenId> Find(std::string_view token) const;

 private:
  struct Slot {
    uint32_t hash = 0;
    TokenId id = -1;
  };
  const Slot* Probe(std::string_view token) const;

  std::string bytes_;
  std::vector<uint32_t> starts_;  // [size + 1]
  std::vector<Slot> slots_;       // a power of two, at most half full
};

}  // namespace banyan
