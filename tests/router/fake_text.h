// A text side without files: every byte is a token (id = byte), 256 ends, 257 begins. Characters
// of several bytes therefore arrive in pieces, and stop strings cross tokens.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/text/text_model.h"

namespace banyan::router {

inline constexpr TokenId kEndToken = 256;
inline constexpr TokenId kBeginToken = 257;
inline constexpr int32_t kByteVocabulary = 258;

class ByteTokenizer final : public Tokenizer {
 public:
  ByteTokenizer() {
    for (int id = 0; id < 256; ++id) pieces_.push_back(std::string(1, static_cast<char>(id)));
    pieces_.push_back("<end>");
    pieces_.push_back("<begin>");
  }

  absl::StatusOr<std::vector<TokenId>> Encode(std::string_view text, AddSpecialTokens add,
                                              std::span<const TextSpan>) const override {
    std::vector<TokenId> ids;
    if (add == AddSpecialTokens::kYes) ids.push_back(kBeginToken);
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  void DecodeNext(TokenId id, SpecialTokensInOutput special, DecodeState& state,
                  std::string& out) const override {
    if (id >= kByteVocabulary || (IsSpecial(id) && special == SpecialTokensInOutput::kDrop)) {
      return;
    }
    state.held += pieces_[static_cast<size_t>(id)];
    Release(state.held, Rest::kMayFollow, out);
  }
  void DecodeEnd(DecodeState& state, std::string& out) const override {
    Release(state.held, Rest::kNothingFollows, out);
  }
  std::string_view TokenBytes(TokenId id) const override {
    return pieces_[static_cast<size_t>(id)];
  }
  bool IsSpecial(TokenId id) const override { return id >= kEndToken; }
  std::optional<TokenId> FindToken(std::string_view content) const override {
    for (size_t id = 0; id < pieces_.size(); ++id) {
      if (pieces_[id] == content) return static_cast<TokenId>(id);
    }
    return std::nullopt;
  }
  int32_t vocabulary_size() const override { return kByteVocabulary; }

 private:
  enum class Rest { kMayFollow, kNothingFollows };

  // Moves whole characters from `held` to `out`; bytes of none become U+FFFD, one each.
  static void Release(std::string& held, Rest rest, std::string& out) {
    size_t at = 0;
    while (at < held.size()) {
      const size_t length = CharacterLength(static_cast<unsigned char>(held[at]));
      if (rest == Rest::kMayFollow && length > held.size() - at) break;
      const bool whole = length > 0 && length <= held.size() - at;
      out += whole ? held.substr(at, length) : "\xEF\xBF\xBD";
      at += whole ? length : 1;
    }
    held.erase(0, at);
  }
  // By its first byte; 0: no character begins so.
  static size_t CharacterLength(unsigned char lead) {
    if (lead < 0x80) return 1;
    return lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  }

  std::vector<std::string> pieces_;
};

inline std::shared_ptr<const TextModel> MakeByteTextModel() {
  auto model = std::make_shared<TextModel>();
  model->tokenizer = std::make_unique<ByteTokenizer>();
  model->chat_template = *ChatTemplate::Parse(
      "{% for message in messages %}{{ message.role[0] }}:{{ message.content }}\n{% endfor %}"
      "{% if add_generation_prompt %}a:{% endif %}",
      "<begin>", "<end>");
  model->generation_defaults.temperature = 0.6f;
  return model;
}

}  // namespace banyan::router
