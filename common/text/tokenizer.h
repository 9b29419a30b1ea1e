// Text to token ids and back, exactly as Hugging Face tokenizers does it for the same files.
// Immutable and thread-safe after construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/token.h"
#include "common/checkpoint/text_assets.h"

namespace banyan {

// Bytes [begin, end) of a text.
struct TextSpan {
  size_t begin = 0;
  size_t end = 0;
};

inline constexpr size_t kHeldBytesMax = 256;         // of a stream of ids
inline constexpr size_t kEncodeBytesMax = 1u << 28;  // of one text

enum class AddSpecialTokens { kNo, kYes };  // BOS and the like, by the post-processor
enum class SpecialTokensInOutput { kDrop, kKeep };

// Where the decoding of a stream of ids stands. Begin with a fresh one per stream.
struct DecodeState {
  std::string held;      // bytes whose text is not out yet: they end in the middle of a character
  bool at_start = true;  // no token has been decoded yet
  int32_t num_stripped = 0;  // characters taken off the beginning so far
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // From tokenizer.json (+ tokenizer_config.json) or gguf-header. INVALID_ARGUMENT with asset, key,
  // expected, found.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Load(const TextAssets& assets);

  // Text that spells a special token becomes that token, except where it touches one of `plain`
  // (ascending, disjoint): there users wrote, and special tokens are taken as plain text. Linear in
  // the text. Invalid UTF-8 is INVALID_ARGUMENT with the byte offset.
  virtual absl::StatusOr<std::vector<TokenId>> Encode(
      std::string_view text, AddSpecialTokens add, std::span<const TextSpan> plain = {}) const = 0;

  // Bytes that are no UTF-8 become U+FFFD. Ids outside [0, vocabulary_size()) stand for nothing
  // (models have padded rows that no tokenizer knows). Built of DecodeNext and DecodeEnd.
  std::string Decode(std::span<const TokenId> ids, SpecialTokensInOutput special) const;

  // Appends the text that became whole with `id`. Amortised constant time; holds back at most
  // kHeldBytesMax bytes.
  virtual void DecodeNext(TokenId id, SpecialTokensInOutput special, DecodeState& state,
                          std::string& out) const = 0;
  // Appends what is still held back, as it is.
  virtual void DecodeEnd(DecodeState& state, std::string& out) const = 0;

  // The bytes that a token stands for, as they are before any joining rule; special tokens spell
  // themselves.
  virtual std::string_view TokenBytes(TokenId id) const = 0;
  // Tokens that SpecialTokensInOutput::kDrop leaves out.
  virtual bool IsSpecial(TokenId id) const = 0;
  virtual std::optional<TokenId> FindToken(std::string_view content) const = 0;
  virtual int32_t vocabulary_size() const = 0;
};

}  // namespace banyan
