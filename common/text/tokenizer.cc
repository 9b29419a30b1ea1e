#include "common/text/tokenizer.h"

#include "common/base/status_macros.h"
#include "common/checkpoint/gguf_header.h"
#include "common/text/bpe_tokenizer.h"
#include "common/text/tokenizer_gguf.h"
#include "common/text/tokenizer_json.h"

namespace banyan {

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Load(const TextAssets& assets) {
  constexpr std::string_view kJsonAsset = "tokenizer.json";
  if (const std::string* json = assets.Find(kJsonAsset)) {
    BANYAN_ASSIGN_OR_RETURN(TokenizerParts parts, ParseTokenizerJson(*json, kJsonAsset));
    return std::make_unique<BpeTokenizer>(std::move(parts));
  }
  if (const std::string* bytes = assets.Find(kGgufHeaderAsset)) {
    BANYAN_ASSIGN_OR_RETURN(const GgufHeader header,
                            GgufHeader::Parse(std::as_bytes(std::span(*bytes)), kGgufHeaderAsset));
    BANYAN_ASSIGN_OR_RETURN(TokenizerParts parts, ParseTokenizerGguf(header, kGgufHeaderAsset));
    return std::make_unique<BpeTokenizer>(std::move(parts));
  }
  return absl::InvalidArgumentError(
      "text assets: expected tokenizer.json or gguf-header, found neither");
}

}  // namespace banyan
