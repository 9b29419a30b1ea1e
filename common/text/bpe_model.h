// Byte pair encoding of single words, with a cache of words seen before. Immutable and thread-safe
// but for the scratch memory that each call brings.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "common/text/bpe_merger.h"
#include "common/text/merge_table.h"
#include "common/text/tokenizer_parts.h"
#include "common/text/vocabulary.h"
#include "common/text/word_cache.h"

namespace banyan {

// Memory of one encoding call.
struct BpeScratch {
  WordCache* cache = nullptr;  // null: none
  BpeMerger merger;
  std::vector<TokenId> symbols;
};

class BpeModel {
 public:
  explicit BpeModel(const TokenizerParts& parts);

  const Vocabulary& vocabulary() const { return vocabulary_; }

  // Appends the tokens of `word`, valid UTF-8 and not empty. O(n log n) in its length.
  void EncodeWord(std::string_view word, BpeScratch& scratch, std::vector<TokenId>& out) const;

  // True when no merge joins across a place where U+2581 follows something else: the text may then
  // be cut there without changing any result.
  bool words_begin_with_blank_mark() const { return words_begin_with_blank_mark_; }

 private:
  void EncodeUncached(std::string_view word, BpeScratch& scratch) const;
  void PushSymbols(std::string_view word, std::vector<TokenId>& symbols) const;
  bool PushByteFallback(std::string_view character, std::vector<TokenId>& symbols) const;
  bool FindWordsBeginWithBlankMark(const TokenizerParts& parts) const;

  const BpeOptions options_;
  Vocabulary vocabulary_;
  MergeTable merges_;
  std::array<TokenId, 256> byte_ids_;  // token of one byte (byte-level) or <0xXX>; -1: none
  bool words_begin_with_blank_mark_ = false;
};

}  // namespace banyan
