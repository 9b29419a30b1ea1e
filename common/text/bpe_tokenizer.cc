#include "common/text/bpe_tokenizer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/text/byte_level.h"
#include "common/text/nfc.h"
#include "common/text/unicode.h"

namespace banyan {
namespace {

// Calls that run at once with a cache of their own, 2 MiB each.
constexpr size_t kNumCachesMax = 16;

std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to,
                       std::vector<uint32_t>* sources) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  size_t at = 0;
  const auto note = [&](size_t source) {
    if (sources != nullptr) sources->resize(out.size(), static_cast<uint32_t>(source));
  };
  while (at < text.size()) {
    const size_t found = std::min(text.find(from, at), text.size());
    for (; sources != nullptr && at < found; ++at) {
      out.push_back(text[at]);
      note(at);
    }
    out.append(text, at, found - at);
    if (found == text.size()) break;
    out.append(to);
    note(found);
    at = found + from.size();
  }
  return out;
}

TokenizerParts WithSplitAtBlankMarks(TokenizerParts parts, const BpeModel& model) {
  // The model has its own copy of these.
  parts.tokens = {};
  parts.indexed = {};
  parts.merges = {};
  if (parts.split.empty() && model.words_begin_with_blank_mark() && !parts.bpe.ignore_merges) {
    parts.split.push_back(SplitRule::kBlankMarkRuns);
  }
  return parts;
}

}  // namespace

struct BpeTokenizer::Call {
  std::span<const TextSpan> plain;
  std::vector<TokenId> ids;
  BpeScratch scratch;

  bool TouchesPlain(size_t begin, size_t end) const {
    const auto span = std::ranges::upper_bound(plain, begin, {}, &TextSpan::end);
    return span != plain.end() && span->begin < end;
  }
};

BpeTokenizer::BpeTokenizer(TokenizerParts parts)
    : model_(parts), raw_finder_({}), normalized_finder_({}), pieces_({}), caches_(kNumCachesMax) {
  parts_ = WithSplitAtBlankMarks(std::move(parts), model_);
  for (const AddedToken& token : parts_.added) {
    added_by_content_.emplace(token.content, &token);
    added_by_id_.emplace(token.id, &token);
  }
  NormalizeAddedTokens();
  std::vector<const AddedToken*> raw;
  std::vector<const AddedToken*> normalized;
  for (const AddedToken& token : parts_.added) {
    if (!token.normalized) raw.push_back(&token);
  }
  for (const AddedToken& token : normalized_added_) normalized.push_back(&token);
  raw_finder_ = AddedTokenFinder(raw);
  normalized_finder_ = AddedTokenFinder(normalized);
  pieces_ = MakePieces();
}

void BpeTokenizer::NormalizeAddedTokens() {
  for (const AddedToken& token : parts_.added) {
    if (!token.normalized) continue;
    std::string buffer;
    AddedToken copy = token;
    copy.content = std::string(Normalize(token.content, buffer, nullptr));
    normalized_added_.push_back(std::move(copy));
  }
}

Vocabulary BpeTokenizer::MakePieces() {
  const Vocabulary& vocabulary = model_.vocabulary();
  size_t size = static_cast<size_t>(vocabulary.size());
  for (const AddedToken& token : parts_.added) {
    size = std::max(size, static_cast<size_t>(token.id) + 1);
  }
  std::vector<std::string> pieces(size);
  flags_.assign(size, 0);
  const DecoderOptions& decoder = parts_.decoder;
  for (size_t i = 0; i < size; ++i) {
    const auto id = static_cast<TokenId>(i);
    const auto added = added_by_id_.find(id);
    std::string_view token;
    if (added != added_by_id_.end()) {
      token = added->second->content;
      if (added->second->special) flags_[i] |= kSpecialFlag;
    } else if (id < vocabulary.size()) {
      token = vocabulary.Token(id);
    }
    const std::optional<uint8_t> byte =
        decoder.byte_fallback ? ByteOfToken(token) : std::optional<uint8_t>();
    if (byte.has_value()) {
      flags_[i] |= kByteFlag;
      pieces[i] = std::string(1, static_cast<char>(*byte));
    } else if (parts_.bpe.byte_level) {
      // Hugging Face reads the content of added tokens as spelled bytes, too, where it can be.
      if (added == added_by_id_.end() || !AppendSpelledBytes(token, pieces[i])) pieces[i] = token;
    } else if (decoder.replace_from.empty()) {
      pieces[i] = token;
    } else {
      pieces[i] = ReplaceAll(token, decoder.replace_from, decoder.replace_to, nullptr);
    }
  }
  return Vocabulary(pieces);
}

std::string_view BpeTokenizer::Normalize(std::string_view text, std::string& buffer,
                                         std::vector<uint32_t>* sources) const {
  for (const NormalizerStep& step : parts_.normalizer) {
    std::vector<uint32_t> step_sources;
    std::vector<uint32_t>* const wanted = sources != nullptr ? &step_sources : nullptr;
    std::string result;
    switch (step.kind) {
      case NormalizerStep::Kind::kNfc:
        if (IsSurelyNfc(text)) continue;
        result = ToNfc(text, wanted);
        break;
      case NormalizerStep::Kind::kPrepend:
        if (text.empty()) continue;
        result = step.content + std::string(text);
        if (sources != nullptr) {
          step_sources.assign(step.content.size(), 0);
          for (uint32_t i = 0; i < text.size(); ++i) step_sources.push_back(i);
        }
        break;
      case NormalizerStep::Kind::kReplace:
        result = ReplaceAll(text, step.pattern, step.content, wanted);
        break;
    }
    if (sources != nullptr) {
      if (!sources->empty()) {
        for (uint32_t& source : step_sources) source = (*sources)[source];
      }
      *sources = std::move(step_sources);
    }
    buffer = std::move(result);
    text = buffer;
  }
  return text;
}

absl::StatusOr<std::vector<TokenId>> BpeTokenizer::Encode(std::string_view text,
                                                          AddSpecialTokens add,
                                                          std::span<const TextSpan> plain) const {
  if (text.size() > kEncodeBytesMax) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "text: at most %d bytes can be encoded at once, found %d", kEncodeBytesMax, text.size()));
  }
  if (const std::optional<size_t> invalid = FindInvalidUtf8(text)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("text: expected UTF-8, found an invalid byte at offset %d", *invalid));
  }
  const WordCachePool::Lease lease = caches_.Borrow();
  Call call;
  call.plain = plain;
  call.scratch.cache = lease.get();
  call.ids.reserve(text.size() / 4 + 16);
  if (add == AddSpecialTokens::kYes) call.ids = parts_.begin_ids;
  std::vector<TextPiece> pieces;
  raw_finder_.Split(
      text, [&](size_t begin, size_t end) { return call.TouchesPlain(begin, end); }, pieces);
  for (const TextPiece& piece : pieces) {
    if (piece.token != nullptr) {
      call.ids.push_back(piece.token->id);
    } else {
      EncodePiece(call, text.substr(piece.begin, piece.end - piece.begin), piece.begin);
    }
  }
  if (add == AddSpecialTokens::kYes) {
    call.ids.insert(call.ids.end(), parts_.end_ids.begin(), parts_.end_ids.end());
  }
  return std::move(call.ids);
}

void BpeTokenizer::EncodePiece(Call& call, std::string_view text, size_t offset) const {
  const bool track = !call.plain.empty() && !normalized_finder_.empty();
  std::string buffer;
  std::vector<uint32_t> sources;
  const size_t raw_size = text.size();
  text = Normalize(text, buffer, track ? &sources : nullptr);
  if (normalized_finder_.empty()) return EncodeNormalized(call, text, offset == 0);

  // A match that touches a rewritten run counts as touching all that the run came from.
  const auto touches_plain = [&](size_t begin, size_t end) {
    if (!track) return false;
    if (sources.empty()) return call.TouchesPlain(offset + begin, offset + end);
    while (end < sources.size() && sources[end] == sources[end - 1]) ++end;
    const size_t source_end = end < sources.size() ? sources[end] : raw_size;
    return call.TouchesPlain(offset + sources[begin], offset + source_end);
  };
  std::vector<TextPiece> pieces;
  normalized_finder_.Split(text, touches_plain, pieces);
  for (const TextPiece& piece : pieces) {
    if (piece.token != nullptr) {
      call.ids.push_back(piece.token->id);
    } else {
      EncodeNormalized(call, text.substr(piece.begin, piece.end - piece.begin),
                       offset + piece.begin == 0);
    }
  }
}

void BpeTokenizer::EncodeNormalized(Call& call, std::string_view text, bool at_start) const {
  std::string buffer;
  if (parts_.blanks.has_value()) {
    buffer = ReplaceAll(text, parts_.blanks->pattern, parts_.blanks->content, nullptr);
    text = buffer;
  }
  const PiecePrefix& prefix = parts_.prefix;
  if (!prefix.text.empty() && (at_start || !prefix.only_at_start) &&
      !text.starts_with(prefix.text)) {
    buffer = prefix.text + std::string(text);
    text = buffer;
  }
  if (!text.empty()) EncodeWords(call, text, 0);
}

void BpeTokenizer::EncodeWords(Call& call, std::string_view text, size_t rule) const {
  if (rule == parts_.split.size()) return model_.EncodeWord(text, call.scratch, call.ids);
  const CharTable& table = CharTable::Get();
  const bool is_last = rule + 1 == parts_.split.size();
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = WordEnd(parts_.split[rule], table, text, begin);
    const std::string_view word = text.substr(begin, end - begin);
    if (is_last) {
      model_.EncodeWord(word, call.scratch, call.ids);
    } else {
      EncodeWords(call, word, rule + 1);
    }
    begin = end;
  }
}

std::string_view BpeTokenizer::TokenBytes(TokenId id) const {
  if (id < 0 || id >= vocabulary_size()) return {};
  const auto added = added_by_id_.find(id);
  return added != added_by_id_.end() ? std::string_view(added->second->content) : pieces_.Token(id);
}

bool BpeTokenizer::IsSpecial(TokenId id) const {
  return id >= 0 && id < vocabulary_size() && (flags_[static_cast<size_t>(id)] & kSpecialFlag) != 0;
}

std::optional<TokenId> BpeTokenizer::FindToken(std::string_view content) const {
  const auto added = added_by_content_.find(absl::string_view(content.data(), content.size()));
  if (added != added_by_content_.end()) return added->second->id;
  return model_.vocabulary().Find(content);
}

}  // namespace banyan
