#include "common/text/detokenizer.h"

namespace banyan {

std::string Detokenizer::Push(TokenId id) {
  std::string text;
  tokenizer_.DecodeNext(id, special_, state_, text);
  return text;
}

std::string Detokenizer::Flush() {
  std::string text;
  tokenizer_.DecodeEnd(state_, text);
  return text;
}

}  // namespace banyan
