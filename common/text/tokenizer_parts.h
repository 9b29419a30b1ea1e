// What a tokenizer is made of, as a loader hands it to BpeTokenizer: tokenizer.json and GGUF
// metadata are two spellings of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/token.h"
#include "common/text/added_tokens.h"
#include "common/text/merge_table.h"
#include "common/text/vocabulary.h"
#include "common/text/word_splitter.h"

namespace banyan {

// One step on a piece of text between added tokens.
struct NormalizerStep {
  enum class Kind { kNfc, kPrepend, kReplace };
  Kind kind = Kind::kNfc;
  std::string pattern;  // kReplace
  std::string content;  // kPrepend, kReplace
};

// What a pre-tokenizer puts before a piece that does not begin with it.
struct PiecePrefix {
  std::string text;            // empty: none
  bool only_at_start = false;  // only the piece at the beginning of the whole text
};

struct BpeOptions {
  bool byte_level = false;     // symbols are bytes; otherwise characters
  bool byte_fallback = false;  // a character that is no token becomes its bytes' tokens <0xXX>
  bool ignore_merges = false;  // a word that is a token is that token
  bool fuse_unknown = false;   // neighbouring unknown characters are one token
  std::optional<TokenId> unknown_id;
};

// How tokens become text (Hugging Face's decoders ByteLevel, Replace, ByteFallback, Fuse, Strip and
// Metaspace).
struct DecoderOptions {
  bool byte_fallback = false;  // <0xXX> is a byte
  std::string replace_from;    // in every token; empty: nothing
  std::string replace_to;
  std::string strip;           // one character, taken off the beginning of the text
  int32_t strip_count = 0;     // at most so often
  bool drop_in_first = false;  // replace_from vanishes in the first token
};

struct TokenizerParts {
  // Token of each id as it is looked up while encoding: bytes (byte-level) or text. Empty: a gap.
  std::vector<std::string> tokens;
  // Ids of `tokens` that BPE may find, ascending.
  std::vector<TokenId> indexed;
  struct Merge {
    TokenId left = 0;
    TokenId right = 0;
    TokenId merged = 0;
    uint32_t rank = 0;
  };
  std::vector<Merge> merges;
  BpeOptions bpe;
  std::vector<AddedToken> added;  // ids may lie beyond `tokens`
  std::vector<NormalizerStep> normalizer;
  std::optional<NormalizerStep> blanks;  // kReplace: a pre-tokenizer's own, before `prefix`
  PiecePrefix prefix;
  std::vector<SplitRule> split;    // each cuts the words of the one before
  std::vector<TokenId> begin_ids;  // AddSpecialTokens::kYes
  std::vector<TokenId> end_ids;
  DecoderOptions decoder;
};

// Byte value of <0xXX>, absent for other tokens.
std::optional<uint8_t> ByteOfToken(std::string_view token);

}  // namespace banyan
