// Tokens that are looked for in the text itself, before normalization and words: special tokens
// and the like, found leftmost and longest by a trie. Immutable and thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/base/token.h"

namespace banyan {

inline constexpr size_t kAddedTokenBytesMax = 1024;

struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool special = false;      // left out of output, never matched in plain text
  bool normalized = false;   // looked for in normalized text
  bool single_word = false;  // only between characters that are no word characters
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
};

// A piece of text: `token` null means ordinary text.
struct TextPiece {
  const AddedToken* token = nullptr;
  size_t begin = 0;
  size_t end = 0;
};

// Finds one set of tokens. Cost per text byte is bounded by kAddedTokenBytesMax and, for real sets,
// near one load: only bytes that begin some token are looked at twice.
class AddedTokenFinder {
 public:
  // `tokens` must outlive this; contents are distinct and not empty.
  explicit AddedTokenFinder(std::span<const AddedToken* const> tokens);

  bool empty() const { return nodes_.size() <= 1; }

  // Cuts all of `text` into pieces. `is_plain(begin, end)` says whether a match touches text where
  // special tokens stand for themselves; such a match is passed over as a whole.
  template <typename IsPlain>
  void Split(std::string_view text, const IsPlain& is_plain, std::vector<TextPiece>& pieces) const {
    size_t done = 0;
    for (size_t at = 0; at < text.size();) {
      at = SkipToFirstByte(text, at);
      const AddedToken* token = LongestAt(text, at);
      if (token == nullptr) {
        ++at;
        continue;
      }
      TextPiece match{token, at, at + token->content.size()};
      at = match.end;
      if (token->special && is_plain(match.begin, match.end)) continue;
      if (token->single_word && !StandsAlone(text, match)) continue;
      if (token->lstrip) match.begin = SpaceBefore(text, done, match.begin);
      if (token->rstrip) match.end = SpaceAfter(text, match.end);
      if (done < match.begin) pieces.push_back({nullptr, done, match.begin});
      pieces.push_back(match);
      done = match.end;
    }
    if (done < text.size()) pieces.push_back({nullptr, done, text.size()});
  }

 private:
  size_t SkipToFirstByte(std::string_view text, size_t at) const {
    while (at < text.size() && !begins_[static_cast<uint8_t>(text[at])]) ++at;
    return at;
  }
  const AddedToken* LongestAt(std::string_view text, size_t at) const;
  static bool StandsAlone(std::string_view text, const TextPiece& match);
  static size_t SpaceBefore(std::string_view text, size_t floor, size_t at);
  static size_t SpaceAfter(std::string_view text, size_t at);

  std::array<bool, 256> begins_{};
  std::vector<const AddedToken*> nodes_;  // the token that ends here or null; [0] is the root
  absl::flat_hash_map<uint64_t, uint32_t> edges_;  // node << 8 | byte -> node
};

}  // namespace banyan
