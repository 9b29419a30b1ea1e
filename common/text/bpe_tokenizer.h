// The Tokenizer of all supported models: added tokens, normalizer, words, byte pair encoding,
// decoder. Immutable and thread-safe after construction.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/text/added_tokens.h"
#include "common/text/bpe_model.h"
#include "common/text/tokenizer.h"
#include "common/text/tokenizer_parts.h"
#include "common/text/word_cache.h"

namespace banyan {

class BpeTokenizer final : public Tokenizer {
 public:
  explicit BpeTokenizer(TokenizerParts parts);

  absl::StatusOr<std::vector<TokenId>> Encode(std::string_view text, AddSpecialTokens add,
                                              std::span<const TextSpan> plain) const override;
  void DecodeNext(TokenId id, SpecialTokensInOutput special, DecodeState& state,
                  std::string& out) const override;
  void DecodeEnd(DecodeState& state, std::string& out) const override;
  std::string_view TokenBytes(TokenId id) const override;
  bool IsSpecial(TokenId id) const override;
  std::optional<TokenId> FindToken(std::string_view content) const override;
  int32_t vocabulary_size() const override { return pieces_.size(); }

 private:
  struct Call;  // one Encode
  void EncodePiece(Call& call, std::string_view text, size_t offset) const;
  void EncodeNormalized(Call& call, std::string_view text, bool at_start) const;
  void EncodeWords(Call& call, std::string_view text, size_t rule) const;
  std::string_view Normalize(std::string_view text, std::string& buffer,
                             std::vector<uint32_t>* sources) const;
  void NormalizeAddedTokens();
  Vocabulary MakePieces();
  enum class KeepIncomplete { kNo, kYes };
  void Release(KeepIncomplete keep, DecodeState& state, std::string& out) const;

  static constexpr uint8_t kSpecialFlag = 1;
  static constexpr uint8_t kByteFlag = 2;

  TokenizerParts parts_;  // without tokens and merges
  BpeModel model_;
  std::vector<AddedToken> normalized_added_;  // their contents as the normalizer leaves them
  AddedTokenFinder raw_finder_;
  AddedTokenFinder normalized_finder_;
  Vocabulary pieces_;           // what each id gives to the output, in bytes
  std::vector<uint8_t> flags_;  // k...Flag, per id
  absl::flat_hash_map<std::string, const AddedToken*> added_by_content_;
  absl::flat_hash_map<TokenId, const AddedToken*> added_by_id_;
  mutable WordCachePool caches_;
};

}  // namespace banyan
