#include "common/text/bpe_model.h"

#include <algorithm>

#include "common/text/unicode.h"

namespace banyan {
namespace {

constexpr std::string_view kBlankMark = "\xE2\x96\x81";  // U+2581

}  // namespace

std::optional<uint8_t> ByteOfToken(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  uint32_t value = 0;
  for (const char c : token.substr(3, 2)) {
    uint32_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<uint32_t>(c - '0');
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<uint32_t>(c - 'A' + 10);
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<uint32_t>(c - 'a' + 10);
    } else {
      return std::nullopt;
    }
    value = value << 4 | digit;
  }
  return static_cast<uint8_t>(value);
}

BpeModel::BpeModel(const TokenizerParts& parts)
    : options_(parts.bpe), vocabulary_(parts.tokens), merges_(parts.merges.size()) {
  byte_ids_.fill(-1);
  for (const TokenId id : parts.indexed) vocabulary_.Index(id);
  for (const TokenizerParts::Merge& merge : parts.merges) {
    merges_.Add(merge.left, merge.right, merge.rank, merge.merged);
  }
  for (uint32_t byte = 0; byte < 256; ++byte) {
    std::string token(1, static_cast<char>(byte));
    if (!options_.byte_level) {
      constexpr std::string_view kHex = "0123456789ABCDEF";
      token = std::string("<0x") + kHex[byte >> 4] + kHex[byte & 15] + '>';
    }
    byte_ids_[byte] = vocabulary_.Find(token).value_or(-1);
  }
  words_begin_with_blank_mark_ = FindWordsBeginWithBlankMark(parts);
}

bool BpeModel::FindWordsBeginWithBlankMark(const TokenizerParts& parts) const {
  if (options_.byte_level) return false;
  // Unknown characters may fuse across the cut.
  const bool all_bytes =
      options_.byte_fallback && std::ranges::find(byte_ids_, -1) == byte_ids_.end();
  if (!all_bytes && options_.fuse_unknown) return false;
  return std::ranges::none_of(parts.merges, [&](const TokenizerParts::Merge& merge) {
    return vocabulary_.Token(merge.right).starts_with(kBlankMark) &&
           !vocabulary_.Token(merge.left).ends_with(kBlankMark);
  });
}

bool BpeModel::PushByteFallback(std::string_view character, std::vector<TokenId>& symbols) const {
  for (const char c : character) {
    if (byte_ids_[static_cast<uint8_t>(c)] < 0) return false;
  }
  for (const char c : character) symbols.push_back(byte_ids_[static_cast<uint8_t>(c)]);
  return true;
}

void BpeModel::PushSymbols(std::string_view word, std::vector<TokenId>& symbols) const {
  if (options_.byte_level) {
    // A byte that is no token and has no unknown token to stand for it vanishes, as in Hugging
    // Face's.
    for (const char c : word) {
      const TokenId id = byte_ids_[static_cast<uint8_t>(c)];
      if (id >= 0) {
        symbols.push_back(id);
      } else if (options_.unknown_id.has_value()) {
        symbols.push_back(*options_.unknown_id);
      }
    }
    return;
  }
  bool after_unknown = false;
  for (size_t at = 0; at < word.size();) {
    const std::string_view character = word.substr(at, DecodeChar(word.data() + at).size);
    at += character.size();
    const bool was_after_unknown = std::exchange(after_unknown, false);
    if (const std::optional<TokenId> id = vocabulary_.Find(character)) {
      symbols.push_back(*id);
    } else if (options_.byte_fallback && PushByteFallback(character, symbols)) {
      continue;
    } else if (options_.unknown_id.has_value()) {
      if (!(was_after_unknown && options_.fuse_unknown)) symbols.push_back(*options_.unknown_id);
      after_unknown = true;
    }
  }
}

void BpeModel::EncodeUncached(std::string_view word, BpeScratch& scratch) const {
  scratch.symbols.clear();
  if (options_.ignore_merges) {
    if (const std::optional<TokenId> id = vocabulary_.Find(word)) {
      scratch.symbols.push_back(*id);
      return;
    }
  }
  PushSymbols(word, scratch.symbols);
  scratch.merger.Merge(merges_, scratch.symbols);
}

void BpeModel::EncodeWord(std::string_view word, BpeScratch& scratch,
                          std::vector<TokenId>& out) const {
  if (scratch.cache == nullptr || word.size() > WordKey::kBytesMax) {
    EncodeUncached(word, scratch);
    out.insert(out.end(), scratch.symbols.begin(), scratch.symbols.end());
    return;
  }
  const WordKey key(word);
  WordCache::Slot& slot = scratch.cache->At(key);
  if (!slot.Holds(key)) {
    EncodeUncached(word, scratch);
    if (scratch.symbols.size() > WordCache::kTokensMax) {
      out.insert(out.end(), scratch.symbols.begin(), scratch.symbols.end());
      return;
    }
    slot.Fill(key, scratch.symbols);
  }
  out.insert(out.end(), slot.tokens, slot.tokens + slot.num_tokens);
}

}  // namespace banyan
