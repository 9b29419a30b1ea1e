#include "common/text/tokenizer_gguf.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/text/byte_level.h"
#include "common/text/unicode.h"

namespace banyan {
namespace {

constexpr std::string_view kBlankMark = "\xE2\x96\x81";  // U+2581

enum TokenType : int64_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kByte = 6 };

absl::Status Error(std::string_view file, std::string_view key, std::string_view expected,
                   std::string_view found) {
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: tokenizer.ggml.%s: expected %s, found %s", file, key, expected, found));
}

// What a value of tokenizer.ggml.pre means.
struct PreRule {
  std::string_view name;
  std::vector<SplitRule> split;
  bool nfc = false;
  bool ignore_merges = false;
};

absl::StatusOr<PreRule> FindPreRule(std::string_view name, std::string_view file) {
  const std::vector<SplitRule> gpt2 = {SplitRule::kGpt2};
  const std::vector<SplitRule> digits_gpt2 = {SplitRule::kDigitsEach, SplitRule::kGpt2};
  const std::vector<SplitRule> qwen = {SplitRule::kCl100kOne};
  const std::vector<SplitRule> llama3 = {SplitRule::kCl100kThree};
  const PreRule rules[] = {
      {"default", gpt2, false, false},
      {"gpt-2", gpt2, false, false},
      {"smollm", digits_gpt2, false, false},
      {"starcoder", digits_gpt2, false, false},
      {"refact", digits_gpt2, false, false},
      {"command-r", digits_gpt2, true, false},
      {"qwen2", qwen, true, false},
      {"deepseek-r1-qwen", qwen, true, false},
      {"llama-bpe", llama3, false, true},
      {"llama3", llama3, false, true},
      {"llama-v3", llama3, false, true},
      {"tekken", {SplitRule::kTekken}, false, true},
      {"gpt-4o", {SplitRule::kO200k}, false, true},
  };
  for (const PreRule& rule : rules) {
    if (rule.name == name) return rule;
  }
  return Error(file, "pre",
               "default, gpt-2, smollm, starcoder, refact, command-r, qwen2, deepseek-r1-qwen, "
               "llama-bpe, tekken or gpt-4o",
               name);
}

struct GgufTokens {
  std::vector<std::string_view> tokens;
  std::vector<int64_t> types;  // one for each token
};

absl::StatusOr<GgufTokens> ReadTokens(const GgufHeader& header, std::string_view file) {
  GgufTokens result;
  BANYAN_ASSIGN_OR_RETURN(auto tokens, header.Strings("tokenizer.ggml.tokens"));
  BANYAN_ASSIGN_OR_RETURN(auto types, header.Integers("tokenizer.ggml.token_type"));
  if (!tokens.has_value() || tokens->empty() || tokens->size() > kVocabularySizeMax) {
    return Error(file, "tokens", absl::StrFormat("1 to %d", kVocabularySizeMax),
                 absl::StrFormat("%u", tokens.has_value() ? tokens->size() : 0));
  }
  result.tokens = *std::move(tokens);
  result.types =
      types.has_value() ? *std::move(types) : std::vector<int64_t>(result.tokens.size(), kNormal);
  if (result.types.size() != result.tokens.size()) {
    return Error(file, "token_type", absl::StrFormat("%u", result.tokens.size()),
                 absl::StrFormat("%u", result.types.size()));
  }
  for (size_t i = 0; i < result.tokens.size(); ++i) {
    if (FindInvalidUtf8(result.tokens[i]).has_value()) {
      return Error(file, absl::StrFormat("tokens[%u]", i), "UTF-8", "other bytes");
    }
  }
  return result;
}

// Control, unknown and user-defined tokens are looked for in the text.
absl::Status AddAddedTokens(const GgufTokens& source, std::string_view file,
                            TokenizerParts& parts) {
  absl::flat_hash_map<std::string_view, size_t> seen;
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    const int64_t type = source.types[i];
    const std::string_view token = source.tokens[i];
    if (type != kUnknown && type != kControl && type != kUserDefined) continue;
    if (token.empty() || token.size() > kAddedTokenBytesMax) {
      return Error(file, absl::StrFormat("tokens[%u]", i),
                   absl::StrFormat("1 to %u bytes", kAddedTokenBytesMax),
                   absl::StrFormat("%u", token.size()));
    }
    if (!seen.emplace(token, i).second) {
      return Error(file, absl::StrFormat("tokens[%u]", i), "a token that is not there yet", token);
    }
    AddedToken added;
    added.id = static_cast<TokenId>(i);
    added.content = token;
    added.special = type != kUserDefined;
    parts.added.push_back(std::move(added));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<TokenId>> ReadId(const GgufHeader& header, std::string_view file,
                                              std::string_view key, size_t vocabulary_size) {
  BANYAN_ASSIGN_OR_RETURN(const auto id, header.Integer(absl::StrFormat("tokenizer.ggml.%s", key)));
  if (!id.has_value()) return std::nullopt;
  if (*id < 0 || static_cast<size_t>(*id) >= vocabulary_size) {
    return Error(file, key, absl::StrFormat("an id below %u", vocabulary_size),
                 absl::StrFormat("%d", *id));
  }
  return static_cast<TokenId>(*id);
}

// add_bos_token and add_eos_token; without the keys, `bos_by_default` decides on the first.
absl::Status AddTemplate(const GgufHeader& header, std::string_view file, bool bos_by_default,
                         TokenizerParts& parts) {
  BANYAN_ASSIGN_OR_RETURN(const auto add_bos, header.Bool("tokenizer.ggml.add_bos_token"));
  BANYAN_ASSIGN_OR_RETURN(const auto add_eos, header.Bool("tokenizer.ggml.add_eos_token"));
  BANYAN_ASSIGN_OR_RETURN(const auto bos,
                          ReadId(header, file, "bos_token_id", parts.tokens.size()));
  BANYAN_ASSIGN_OR_RETURN(const auto eos,
                          ReadId(header, file, "eos_token_id", parts.tokens.size()));
  if (add_bos.value_or(bos_by_default) && bos.has_value()) parts.begin_ids = {*bos};
  if (add_eos.value_or(false) && eos.has_value()) parts.end_ids = {*eos};
  return absl::OkStatus();
}

absl::StatusOr<TokenizerParts> ParseGpt2(const GgufHeader& header, std::string_view file) {
  TokenizerParts parts;
  BANYAN_ASSIGN_OR_RETURN(const GgufTokens source, ReadTokens(header, file));
  BANYAN_ASSIGN_OR_RETURN(const auto pre, header.String("tokenizer.ggml.pre"));
  BANYAN_ASSIGN_OR_RETURN(PreRule rule, FindPreRule(pre.value_or("default"), file));
  parts.split = std::move(rule.split);
  if (rule.nfc) parts.normalizer.push_back({});
  parts.bpe.byte_level = true;
  parts.bpe.ignore_merges = rule.ignore_merges;
  BANYAN_RETURN_IF_ERROR(AddAddedTokens(source, file, parts));

  parts.tokens.assign(source.tokens.begin(), source.tokens.end());
  Vocabulary spelled(parts.tokens);
  for (size_t i = 0; i < parts.tokens.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    spelled.Index(id);
    std::string bytes;
    if (source.types[i] != kNormal && source.types[i] != kByte) continue;
    if (!AppendSpelledBytes(source.tokens[i], bytes)) continue;
    parts.tokens[i] = std::move(bytes);
    parts.indexed.push_back(id);
  }
  BANYAN_ASSIGN_OR_RETURN(const auto merges, header.Strings("tokenizer.ggml.merges"));
  if (!merges.has_value() || merges->size() > kMergeRanksMax) {
    return Error(file, "merges", absl::StrFormat("at most %u", kMergeRanksMax),
                 merges.has_value() ? absl::StrFormat("%u", merges->size()) : "none");
  }
  for (uint32_t rank = 0; rank < merges->size(); ++rank) {
    const std::string_view line = (*merges)[rank];
    const size_t space = std::min(line.find(' ', 1), line.size());
    const std::string_view right = space < line.size() ? line.substr(space + 1) : "";
    std::string joined(line.substr(0, space));
    const std::optional<TokenId> left_id = spelled.Find(joined);
    const std::optional<TokenId> right_id = spelled.Find(right);
    const std::optional<TokenId> merged = spelled.Find(joined.append(right));
    if (!left_id.has_value() || !right_id.has_value() || !merged.has_value()) {
      return Error(file, absl::StrFormat("merges[%u]", rank),
                   "two tokens whose joined text is one, too", line);
    }
    parts.merges.push_back({*left_id, *right_id, *merged, rank});
  }
  BANYAN_RETURN_IF_ERROR(AddTemplate(header, file, false, parts));
  return parts;
}

// SentencePiece joins the neighbours whose text has the highest score: each way to cut a piece into
// two pieces is a merge, ranked by the piece's score.
absl::Status AddScoredMerges(const GgufTokens& source, std::span<const float> scores,
                             std::string_view file, TokenizerParts& parts) {
  Vocabulary vocabulary(parts.tokens);
  for (const TokenId id : parts.indexed) vocabulary.Index(id);
  std::vector<size_t> order;
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    if (source.types[i] != kNormal) continue;
    if (!std::isfinite(scores[i])) {
      return Error(file, absl::StrFormat("scores[%u]", i), "a finite number",
                   absl::StrFormat("%g", scores[i]));
    }
    order.push_back(i);
  }
  std::ranges::sort(order, [&](size_t a, size_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
  constexpr size_t kMergesMax = size_t{kVocabularySizeMax} * 16;
  uint32_t rank = 0;
  for (const size_t i : order) {
    const std::string_view piece = source.tokens[i];
    for (size_t cut = 1; cut < piece.size(); ++cut) {
      if ((static_cast<uint8_t>(piece[cut]) & 0xC0) == 0x80) continue;
      const std::optional<TokenId> left = vocabulary.Find(piece.substr(0, cut));
      const std::optional<TokenId> right = vocabulary.Find(piece.substr(cut));
      if (!left.has_value() || !right.has_value()) continue;
      parts.merges.push_back({*left, *right, static_cast<TokenId>(i), rank});
    }
    if (parts.merges.size() > kMergesMax) {
      return Error(file, "tokens", absl::StrFormat("at most %u ways to join them", kMergesMax),
                   "more");
    }
    ++rank;
  }
  return absl::OkStatus();
}

absl::StatusOr<TokenizerParts> ParseLlama(const GgufHeader& header, std::string_view file) {
  TokenizerParts parts;
  BANYAN_ASSIGN_OR_RETURN(const GgufTokens source, ReadTokens(header, file));
  BANYAN_ASSIGN_OR_RETURN(const auto scores, header.Floats("tokenizer.ggml.scores"));
  const size_t num_scores = scores.has_value() ? scores->size() : 0;
  if (num_scores != source.tokens.size()) {
    return Error(file, "scores", absl::StrFormat("%u", source.tokens.size()),
                 absl::StrFormat("%u", num_scores));
  }
  parts.tokens.assign(source.tokens.begin(), source.tokens.end());
  BANYAN_RETURN_IF_ERROR(AddAddedTokens(source, file, parts));
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    if (source.tokens[i].empty()) continue;
    if (source.types[i] == kNormal || source.types[i] == kByte) {
      parts.indexed.push_back(static_cast<TokenId>(i));
    }
  }
  BANYAN_RETURN_IF_ERROR(AddScoredMerges(source, *scores, file, parts));
  parts.bpe.byte_fallback = true;
  parts.bpe.fuse_unknown = true;
  BANYAN_ASSIGN_OR_RETURN(parts.bpe.unknown_id,
                          ReadId(header, file, "unknown_token_id", parts.tokens.size()));
  BANYAN_ASSIGN_OR_RETURN(const auto add_prefix, header.Bool("tokenizer.ggml.add_space_prefix"));
  const std::string mark(kBlankMark);
  if (add_prefix.value_or(true)) {
    parts.normalizer.push_back({NormalizerStep::Kind::kPrepend, "", mark});
    parts.decoder.strip = " ";
    parts.decoder.strip_count = 1;
  }
  parts.normalizer.push_back({NormalizerStep::Kind::kReplace, " ", mark});
  parts.decoder.byte_fallback = true;
  parts.decoder.replace_from = mark;
  parts.decoder.replace_to = " ";
  BANYAN_RETURN_IF_ERROR(AddTemplate(header, file, true, parts));
  return parts;
}

}  // namespace

absl::StatusOr<TokenizerParts> ParseTokenizerGguf(const GgufHeader& header, std::string_view file) {
  BANYAN_ASSIGN_OR_RETURN(const auto model, header.String("tokenizer.ggml.model"));
  if (model == "gpt2") return ParseGpt2(header, file);
  if (model == "llama") return ParseLlama(header, file);
  return Error(file, "model", "gpt2 or llama", model.value_or("none"));
}

}  // namespace banyan
