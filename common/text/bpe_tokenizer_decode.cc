// The output side of BpeTokenizer.
#include <algorithm>
#include <utility>

#include "common/text/bpe_tokenizer.h"
#include "common/text/unicode.h"

namespace banyan {
namespace {

// Appends `text`, less what the decoder strips from the beginning of the whole.
void Emit(const DecoderOptions& decoder, std::string_view text, DecodeState& state,
          std::string& out) {
  while (state.num_stripped < decoder.strip_count && text.starts_with(decoder.strip)) {
    text.remove_prefix(decoder.strip.size());
    ++state.num_stripped;
  }
  if (text.empty()) return;
  state.num_stripped = decoder.strip_count;
  out += text;
}

}  // namespace

// Emits `held` up to a character that it ends in the middle of (with kNo, all of it). Bytes that
// are no UTF-8 become U+FFFD: one for each maximal subpart (byte-level, as Hugging Face does it),
// or one for each byte (byte fallback).
void BpeTokenizer::Release(KeepIncomplete keep, DecodeState& state, std::string& out) const {
  std::string text;
  size_t at = 0;
  while (at < state.held.size()) {
    const Utf8Step step = NextUtf8(std::string_view(state.held).substr(at));
    if (step.kind == Utf8Prefix::kIncomplete && keep == KeepIncomplete::kYes) {
      if (state.held.size() <= kHeldBytesMax) return;  // the whole token comes out at once, later
      break;
    }
    if (step.kind == Utf8Prefix::kChar) {
      text.append(state.held, at, step.size);
    } else {
      const uint32_t num_replacements = parts_.decoder.byte_fallback ? step.size : 1;
      for (uint32_t i = 0; i < num_replacements; ++i) text += kReplacementChar;
    }
    at += step.size;
  }
  state.held.erase(0, at);
  Emit(parts_.decoder, text, state, out);
}

void BpeTokenizer::DecodeNext(TokenId id, SpecialTokensInOutput special, DecodeState& state,
                              std::string& out) const {
  if (id < 0 || id >= vocabulary_size()) return;
  const uint8_t flags = flags_[static_cast<size_t>(id)];
  if ((flags & kSpecialFlag) != 0 && special == SpecialTokensInOutput::kDrop) return;
  const bool is_first = std::exchange(state.at_start, false);
  std::string_view piece = pieces_.Token(id);
  if (parts_.bpe.byte_level || (flags & kByteFlag) != 0) {
    state.held += piece;
    Release(KeepIncomplete::kYes, state, out);
    return;
  }
  DecodeEnd(state, out);
  std::string unmarked;
  if (is_first && parts_.decoder.drop_in_first && id < model_.vocabulary().size()) {
    const std::string_view token = model_.vocabulary().Token(id);
    const std::string& mark = parts_.decoder.replace_from;
    for (size_t at = 0; at < token.size();) {
      const size_t found = std::min(token.find(mark, at), token.size());
      unmarked.append(token, at, found - at);
      at = found + mark.size();
    }
    piece = unmarked;
  }
  Emit(parts_.decoder, piece, state, out);
}

void BpeTokenizer::DecodeEnd(DecodeState& state, std::string& out) const {
  Release(KeepIncomplete::kNo, state, out);
}

std::string Tokenizer::Decode(std::span<const TokenId> ids, SpecialTokensInOutput special) const {
  DecodeState state;
  std::string text;
  for (const TokenId id : ids) DecodeNext(id, special, state, text);
  DecodeEnd(state, text);
  return text;
}

}  // namespace banyan
