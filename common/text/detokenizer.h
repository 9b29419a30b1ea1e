// Token ids to text as they arrive: never half a character. One per stream, one thread at a time.
#pragma once

#include <string>

#include "common/text/tokenizer.h"

namespace banyan {

class Detokenizer {
 public:
  // `tokenizer` must outlive this.
  Detokenizer(const Tokenizer& tokenizer, SpecialTokensInOutput special)
      : tokenizer_(tokenizer), special_(special) {}

  // Text that became whole with this token; may be empty. The pieces of a stream, with Flush() at
  // the end, joined are Decode() of all its ids. Amortised constant time; holds at most a few
  // tokens back.
  std::string Push(TokenId id);
  // What is still held back, bytes that are no UTF-8 as U+FFFD.
  std::string Flush();

 private:
  const Tokenizer& tokenizer_;
  const SpecialTokensInOutput special_;
  DecodeState state_;
};

}  // namespace banyan
