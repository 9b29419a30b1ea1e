#include "common/text/tokenizer_json.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/text/byte_level.h"

namespace banyan {
namespace {

using simdjson::dom::element;

absl::Status RequireAbsent(const JsonObject& object, std::string_view key) {
  const std::optional<element> value = object.Find(key);
  if (!value.has_value()) return absl::OkStatus();
  std::string_view text;
  double number = 1;
  if (value->get_string().get(text) == simdjson::SUCCESS && text.empty()) return absl::OkStatus();
  if (value->get_double().get(number) == simdjson::SUCCESS && number == 0) return absl::OkStatus();
  return object.Error(key, "nothing (it is not supported)", JsonExcerpt(*value));
}

// Fills parts.tokens with the tokens as they are spelled in the file.
absl::Status ParseVocabulary(const JsonObject& model, TokenizerParts& parts) {
  BANYAN_ASSIGN_OR_RETURN(const std::optional<JsonObject> vocab, model.Object("vocab"));
  if (!vocab.has_value() || vocab->object().size() == 0) {
    return model.Error("vocab", "an object of tokens and ids", "none");
  }
  std::vector<bool> seen;
  for (const auto [token, value] : vocab->object()) {
    int64_t id = 0;
    if (value.get_int64().get(id) != simdjson::SUCCESS || id < 0 || id >= kVocabularySizeMax) {
      return vocab->Error(token, absl::StrFormat("an id below %d", kVocabularySizeMax),
                          JsonExcerpt(value));
    }
    const auto i = static_cast<size_t>(id);
    if (i >= parts.tokens.size()) {
      parts.tokens.resize(i + 1);
      seen.resize(i + 1);
    }
    if (seen[i]) {
      return vocab->Error(token, "an id of its own",
                          absl::StrFormat("%d, which \"%s\" has", id, parts.tokens[i]));
    }
    if (token.empty()) return vocab->Error("\"\"", "a token that is not empty", "an empty one");
    seen[i] = true;
    parts.tokens[i] = token;
  }
  return absl::OkStatus();
}

struct MergePair {
  std::string_view left;
  std::string_view right;
};

// A merge is "a b" or ["a", "b"].
std::optional<MergePair> ReadMergePair(element value) {
  MergePair pair;
  std::string_view line;
  if (value.get_string().get(line) == simdjson::SUCCESS) {
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
      return std::nullopt;
    }
    return MergePair{line.substr(0, space), line.substr(space + 1)};
  }
  simdjson::dom::array items;
  if (value.get_array().get(items) != simdjson::SUCCESS || items.size() != 2 ||
      items.at(0).get_string().get(pair.left) != simdjson::SUCCESS ||
      items.at(1).get_string().get(pair.right) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  return pair;
}

absl::Status ParseMerges(const JsonObject& model, const Vocabulary& spelled,
                         TokenizerParts& parts) {
  const std::optional<element> value = model.Find("merges");
  simdjson::dom::array merges;
  if (!value.has_value() || value->get_array().get(merges) != simdjson::SUCCESS) {
    return model.Error("merges", "an array",
                       value.has_value() ? JsonExcerpt(*value) : std::string("none"));
  }
  uint32_t rank = 0;
  std::string joined;
  for (const element merge : merges) {
    const std::string key = absl::StrFormat("merges[%u]", rank);
    if (rank > kMergeRanksMax) {
      return model.Error(key, absl::StrFormat("at most %u merges", kMergeRanksMax), "more");
    }
    const std::optional<MergePair> pair = ReadMergePair(merge);
    if (!pair.has_value()) {
      return model.Error(key, "\"left right\" or [\"left\", \"right\"]", JsonExcerpt(merge));
    }
    joined.assign(pair->left).append(pair->right);
    const std::optional<TokenId> left = spelled.Find(pair->left);
    const std::optional<TokenId> right = spelled.Find(pair->right);
    const std::optional<TokenId> merged = spelled.Find(joined);
    if (!left.has_value() || !right.has_value() || !merged.has_value()) {
      return model.Error(key, "tokens of the vocabulary whose joined text is one, too",
                         absl::StrFormat("\"%s\" and \"%s\"", pair->left, pair->right));
    }
    parts.merges.push_back({*left, *right, *merged, rank});
    ++rank;
  }
  return absl::OkStatus();
}

absl::Status ParseModelOptions(const JsonObject& model, const Vocabulary& spelled,
                               TokenizerParts& parts) {
  BANYAN_ASSIGN_OR_RETURN(const auto type, model.String("type"));
  // Files of before 2020 have no type; only BPE has merges.
  if (type.has_value() && *type != "BPE") return model.Error("type", "\"BPE\"", *type);
  for (const std::string_view key :
       {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
    BANYAN_RETURN_IF_ERROR(RequireAbsent(model, key));
  }
  BANYAN_ASSIGN_OR_RETURN(const auto byte_fallback, model.Bool("byte_fallback"));
  BANYAN_ASSIGN_OR_RETURN(const auto ignore_merges, model.Bool("ignore_merges"));
  BANYAN_ASSIGN_OR_RETURN(const auto fuse_unknown, model.Bool("fuse_unk"));
  BANYAN_ASSIGN_OR_RETURN(const auto unknown, model.String("unk_token"));
  parts.bpe.byte_fallback = byte_fallback.value_or(false);
  parts.bpe.ignore_merges = ignore_merges.value_or(false);
  parts.bpe.fuse_unknown = fuse_unknown.value_or(false);
  if (unknown.has_value()) {
    parts.bpe.unknown_id = spelled.Find(*unknown);
    if (!parts.bpe.unknown_id.has_value()) {
      return model.Error("unk_token", "a token of the vocabulary", *unknown);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<AddedToken> ParseAddedToken(const JsonObject& object) {
  BANYAN_ASSIGN_OR_RETURN(const auto id, object.Integer("id"));
  BANYAN_ASSIGN_OR_RETURN(const auto content, object.String("content"));
  BANYAN_ASSIGN_OR_RETURN(const auto special, object.Bool("special"));
  BANYAN_ASSIGN_OR_RETURN(const auto normalized, object.Bool("normalized"));
  BANYAN_ASSIGN_OR_RETURN(const auto single_word, object.Bool("single_word"));
  BANYAN_ASSIGN_OR_RETURN(const auto lstrip, object.Bool("lstrip"));
  BANYAN_ASSIGN_OR_RETURN(const auto rstrip, object.Bool("rstrip"));
  if (!id.has_value() || *id < 0 || *id >= kVocabularySizeMax) {
    return object.Error("id", absl::StrFormat("an id below %d", kVocabularySizeMax),
                        id.has_value() ? absl::StrFormat("%d", *id) : "none");
  }
  if (!content.has_value() || content->empty() || content->size() > kAddedTokenBytesMax) {
    return object.Error("content", absl::StrFormat("1 to %u bytes", kAddedTokenBytesMax),
                        absl::StrFormat("%u bytes", content.value_or("").size()));
  }
  return AddedToken{static_cast<TokenId>(*id),   std::string(*content),
                    special.value_or(false),     normalized.value_or(!special.value_or(false)),
                    single_word.value_or(false), lstrip.value_or(false),
                    rstrip.value_or(false)};
}

absl::Status ParseAddedTokens(const JsonObject& root, TokenizerParts& parts) {
  const std::optional<element> value = root.Find("added_tokens");
  if (!value.has_value()) return absl::OkStatus();
  simdjson::dom::array items;
  if (value->get_array().get(items) != simdjson::SUCCESS) {
    return root.Error("added_tokens", "an array", JsonExcerpt(*value));
  }
  absl::flat_hash_set<std::string> contents;
  absl::flat_hash_set<TokenId> ids;
  size_t index = 0;
  for (const element item : items) {
    simdjson::dom::object fields;
    const std::string path = absl::StrFormat("added_tokens[%u]", index++);
    if (item.get_object().get(fields) != simdjson::SUCCESS) {
      return root.Error(path, "an object", JsonExcerpt(item));
    }
    const JsonObject object(fields, root.file(), path + ".");
    BANYAN_ASSIGN_OR_RETURN(AddedToken token, ParseAddedToken(object));
    const auto id = static_cast<size_t>(token.id);
    if (id < parts.tokens.size() && !parts.tokens[id].empty() &&
        parts.tokens[id] != token.content) {
      return object.Error("content", absl::StrFormat("token %u, \"%s\"", id, parts.tokens[id]),
                          token.content);
    }
    if (!contents.insert(token.content).second || !ids.insert(token.id).second) {
      return object.Error("content", "a token that is not there yet", token.content);
    }
    parts.added.push_back(std::move(token));
  }
  return absl::OkStatus();
}

// Tokens as spelled become bytes; those that spell none stay as they are and cannot be found.
void UnspellBytes(TokenizerParts& parts) {
  for (const TokenId id : std::exchange(parts.indexed, {})) {
    std::string bytes;
    std::string& token = parts.tokens[static_cast<size_t>(id)];
    if (!AppendSpelledBytes(token, bytes)) continue;
    token = std::move(bytes);
    parts.indexed.push_back(id);
  }
}

}  // namespace

absl::StatusOr<TokenizerParts> ParseTokenizerJson(std::string_view json, std::string_view file) {
  simdjson::dom::parser parser;
  BANYAN_ASSIGN_OR_RETURN(const JsonObject root, JsonObject::Parse(parser, json, file));
  BANYAN_ASSIGN_OR_RETURN(const std::optional<JsonObject> model, root.Object("model"));
  if (!model.has_value()) return root.Error("model", "an object", "none");

  TokenizerParts parts;
  BANYAN_RETURN_IF_ERROR(ParseVocabulary(*model, parts));
  Vocabulary spelled(parts.tokens);
  for (size_t i = 0; i < parts.tokens.size(); ++i) {
    if (parts.tokens[i].empty()) continue;
    const auto id = static_cast<TokenId>(i);
    spelled.Index(id);
    parts.indexed.push_back(id);
    if (spelled.Find(parts.tokens[i]) != id) {
      return model->Error("vocab", "every token once",
                          absl::StrFormat("\"%s\" twice", parts.tokens[i]));
    }
  }
  BANYAN_RETURN_IF_ERROR(ParseModelOptions(*model, spelled, parts));
  BANYAN_RETURN_IF_ERROR(ParseMerges(*model, spelled, parts));
  BANYAN_RETURN_IF_ERROR(ParseAddedTokens(root, parts));
  BANYAN_RETURN_IF_ERROR(ParseNormalizer(root, parts));
  BANYAN_RETURN_IF_ERROR(ParsePreTokenizer(root, parts));
  BANYAN_RETURN_IF_ERROR(ParsePostProcessor(root, parts));
  BANYAN_RETURN_IF_ERROR(ParseDecoder(root, parts));
  if (parts.bpe.byte_level) UnspellBytes(parts);
  return parts;
}

}  // namespace banyan
