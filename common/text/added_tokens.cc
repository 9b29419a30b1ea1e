#include "common/text/added_tokens.h"

#include <algorithm>

#include "common/text/unicode.h"

namespace banyan {
namespace {

bool HasClass(const DecodedChar& c, uint8_t classes) {
  return (CharTable::Get().Classes(c.code) & classes) != 0;
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(std::span<const AddedToken* const> tokens) {
  nodes_.push_back(nullptr);
  for (const AddedToken* token : tokens) {
    uint32_t node = 0;
    for (const char c : token->content) {
      const uint64_t edge = uint64_t{node} << 8 | static_cast<uint8_t>(c);
      const auto [it, is_new] = edges_.try_emplace(edge, static_cast<uint32_t>(nodes_.size()));
      if (is_new) nodes_.push_back(nullptr);
      node = it->second;
    }
    nodes_[node] = token;
    begins_[static_cast<uint8_t>(token->content[0])] = true;
  }
}

const AddedToken* AddedTokenFinder::LongestAt(std::string_view text, size_t at) const {
  const AddedToken* longest = nullptr;
  uint32_t node = 0;
  for (; at < text.size(); ++at) {
    const auto edge = edges_.find(uint64_t{node} << 8 | static_cast<uint8_t>(text[at]));
    if (edge == edges_.end()) break;
    node = edge->second;
    if (nodes_[node] != nullptr) longest = nodes_[node];
  }
  return longest;
}

bool AddedTokenFinder::StandsAlone(std::string_view text, const TextPiece& match) {
  const bool word_before =
      match.begin > 0 && HasClass(DecodeCharBefore(text.substr(0, match.begin)), kWord);
  const bool word_after =
      match.end < text.size() && HasClass(DecodeChar(text.data() + match.end), kWord);
  return !word_before && !word_after;
}

size_t AddedTokenFinder::SpaceBefore(std::string_view text, size_t floor, size_t at) {
  while (at > floor) {
    const DecodedChar c = DecodeCharBefore(text.substr(0, at));
    if (!HasClass(c, kSpace)) break;
    at -= c.size;
  }
  return at;
}

size_t AddedTokenFinder::SpaceAfter(std::string_view text, size_t at) {
  while (at < text.size()) {
    const DecodedChar c = DecodeChar(text.data() + at);
    if (!HasClass(c, kSpace)) break;
    at += c.size;
  }
  return at;
}

}  // namespace banyan
