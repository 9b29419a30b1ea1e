// A tokenizer.json or gguf-header of anybody's, then text and ids of anybody's.
//
//   input: the asset | "\n\0\n" | text to encode
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/text/detokenizer.h"
#include "common/text/tokenizer.h"

namespace banyan {
namespace {

void Check(const Tokenizer& tokenizer, std::string_view text) {
  const TextSpan half[] = {{0, text.size() / 2}};
  for (const auto plain : {std::span<const TextSpan>(), std::span<const TextSpan>(half)}) {
    const auto ids = tokenizer.Encode(text, AddSpecialTokens::kYes, plain);
    if (!ids.ok()) continue;
    for (const TokenId id : *ids) {
      BANYAN_CHECK(id >= 0 && id < tokenizer.vocabulary_size());
    }
    Detokenizer detokenizer(tokenizer, SpecialTokensInOutput::kDrop);
    std::string joined;
    for (const TokenId id : *ids) joined += detokenizer.Push(id);
    joined += detokenizer.Flush();
    BANYAN_CHECK(joined == tokenizer.Decode(*ids, SpecialTokensInOutput::kDrop));
  }
}

}  // namespace
}  // namespace banyan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using banyan::Tokenizer;
  constexpr std::string_view kEnd("\n\0\n", 3);
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(input.find(kEnd), input.size());
  const std::string_view text = input.substr(std::min(end + kEnd.size(), input.size()));
  const bool is_gguf = input.starts_with("GGUF");
  const auto tokenizer =
      Tokenizer::Load({{{std::string(is_gguf ? banyan::kGgufHeaderAsset : "tokenizer.json"),
                         std::string(input.substr(0, end))}}});
  if (tokenizer.ok()) banyan::Check(**tokenizer, text);
  return 0;
}
