// The components of tokenizer.json around the model.
#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/text/tokenizer_json.h"

namespace banyan {
namespace {

using simdjson::dom::element;

constexpr size_t kComponentsMax = 32;

// A component and its type, "" when there is none.
struct Component {
  JsonObject object;
  std::string_view type;
};

// The component `key` of `parent` as a flat list: the members (in `members`) of a Sequence, or
// itself alone. Absent: empty. Sequences in sequences are refused.
absl::StatusOr<std::vector<Component>> Components(const JsonObject& parent, std::string_view key,
                                                  std::string_view members) {
  std::vector<Component> components;
  BANYAN_ASSIGN_OR_RETURN(const std::optional<JsonObject> object, parent.Object(key));
  if (!object.has_value()) return components;
  BANYAN_ASSIGN_OR_RETURN(const auto type, object->String("type"));
  if (type != "Sequence") {
    components.push_back({*object, type.value_or("")});
    return components;
  }
  const std::optional<element> value = object->Find(members);
  simdjson::dom::array items;
  if (!value.has_value() || value->get_array().get(items) != simdjson::SUCCESS ||
      items.size() > kComponentsMax) {
    return object->Error(members, absl::StrFormat("an array of at most %u", kComponentsMax),
                         value.has_value() ? JsonExcerpt(*value) : std::string("none"));
  }
  for (const element item : items) {
    const std::string path = absl::StrFormat("%s[%u]", members, components.size());
    simdjson::dom::object fields;
    if (item.get_object().get(fields) != simdjson::SUCCESS) {
      return object->Error(path, "an object", JsonExcerpt(item));
    }
    JsonObject member(fields, parent.file(), absl::StrFormat("%s.%s.", key, path));
    BANYAN_ASSIGN_OR_RETURN(const auto member_type, member.String("type"));
    components.push_back({std::move(member), member_type.value_or("")});
  }
  return components;
}

absl::StatusOr<std::string> RequireString(const JsonObject& object, std::string_view key) {
  BANYAN_ASSIGN_OR_RETURN(const auto value, object.String(key));
  if (!value.has_value() || value->empty()) {
    return object.Error(key, "a string that is not empty", value.has_value() ? "\"\"" : "none");
  }
  return std::string(*value);
}

// Replace: {"pattern": {"String": ...}, "content": ...}.
absl::StatusOr<NormalizerStep> ParseReplace(const JsonObject& object) {
  BANYAN_ASSIGN_OR_RETURN(const std::optional<JsonObject> pattern, object.Object("pattern"));
  if (!pattern.has_value()) return object.Error("pattern", "an object", "none");
  BANYAN_ASSIGN_OR_RETURN(const auto regex, pattern->String("Regex"));
  if (regex.has_value()) {
    return pattern->Error("Regex", "String (no regular expression is supported here)", *regex);
  }
  BANYAN_ASSIGN_OR_RETURN(std::string from, RequireString(*pattern, "String"));
  BANYAN_ASSIGN_OR_RETURN(const auto to, object.String("content"));
  if (!to.has_value()) return object.Error("content", "a string", "none");
  return NormalizerStep{NormalizerStep::Kind::kReplace, std::move(from), std::string(*to)};
}

// Split: the regular expression must be one of the published ones; they match all of any text, so
// that isolating matches and removing what lies between come to the same.
absl::StatusOr<SplitRule> ParseSplit(const JsonObject& object) {
  BANYAN_ASSIGN_OR_RETURN(const std::optional<JsonObject> pattern, object.Object("pattern"));
  if (!pattern.has_value()) return object.Error("pattern", "an object", "none");
  BANYAN_ASSIGN_OR_RETURN(const std::string regex, RequireString(*pattern, "Regex"));
  const std::optional<SplitRule> rule = FindSplitRule(regex);
  if (!rule.has_value()) {
    return pattern->Error("Regex",
                          "a pre-tokenizer pattern of GPT-2, GPT-4o, Llama 3, Qwen or "
                          "Mistral, spelled as published",
                          regex);
  }
  BANYAN_ASSIGN_OR_RETURN(const auto behavior, object.String("behavior"));
  BANYAN_ASSIGN_OR_RETURN(const auto invert, object.Bool("invert"));
  if (behavior != "Isolated" && !(behavior == "Removed" && invert == true)) {
    return object.Error("behavior", "\"Isolated\", or \"Removed\" with invert",
                        behavior.value_or("none"));
  }
  return *rule;
}

absl::Status ParseByteLevel(const JsonObject& object, TokenizerParts& parts) {
  BANYAN_ASSIGN_OR_RETURN(const auto add_prefix_space, object.Bool("add_prefix_space"));
  BANYAN_ASSIGN_OR_RETURN(const auto use_regex, object.Bool("use_regex"));
  if (add_prefix_space.value_or(true)) {
    if (!parts.split.empty()) {
      return object.Error("add_prefix_space", "false after another pre-tokenizer", "true");
    }
    parts.prefix.text = " ";
  }
  if (use_regex.value_or(true)) parts.split.push_back(SplitRule::kGpt2);
  parts.bpe.byte_level = true;
  return absl::OkStatus();
}

enum class PrependScheme { kNever, kFirst, kAlways };

absl::StatusOr<PrependScheme> ParsePrependScheme(const JsonObject& object) {
  BANYAN_ASSIGN_OR_RETURN(const auto scheme, object.String("prepend_scheme"));
  BANYAN_ASSIGN_OR_RETURN(const auto add_prefix_space, object.Bool("add_prefix_space"));
  if (!scheme.has_value()) {
    return add_prefix_space.value_or(true) ? PrependScheme::kAlways : PrependScheme::kNever;
  }
  if (*scheme == "always") return PrependScheme::kAlways;
  if (*scheme == "first") return PrependScheme::kFirst;
  if (*scheme == "never") return PrependScheme::kNever;
  return object.Error("prepend_scheme", "\"always\", \"first\" or \"never\"", *scheme);
}

constexpr std::string_view kBlankMark = "\xE2\x96\x81";  // U+2581

absl::Status ParseMetaspace(const JsonObject& object, TokenizerParts& parts) {
  BANYAN_ASSIGN_OR_RETURN(const std::string mark, RequireString(object, "replacement"));
  if (mark != kBlankMark) return object.Error("replacement", "U+2581", mark);
  BANYAN_ASSIGN_OR_RETURN(const PrependScheme scheme, ParsePrependScheme(object));
  BANYAN_ASSIGN_OR_RETURN(const auto split, object.Bool("split"));
  parts.blanks = NormalizerStep{NormalizerStep::Kind::kReplace, " ", mark};
  if (scheme != PrependScheme::kNever) {
    parts.prefix = {mark, scheme == PrependScheme::kFirst};
  }
  if (split.value_or(true)) parts.split.push_back(SplitRule::kBlankMark);
  return absl::OkStatus();
}

// The ids of one list of TemplateProcessing: before the text to begin_ids, after it to end_ids.
absl::Status ParseTemplate(const JsonObject& object, TokenizerParts& parts) {
  simdjson::dom::array items;
  if (object.object().at_key("single").get_array().get(items) != simdjson::SUCCESS) {
    return object.Error("single", "an array", "something else");
  }
  BANYAN_ASSIGN_OR_RETURN(const std::optional<JsonObject> tokens, object.Object("special_tokens"));
  bool after_text = false;
  for (const element item : items) {
    std::string_view name;
    if (item.at_key("Sequence").get_object().error() == simdjson::SUCCESS) {
      if (std::exchange(after_text, true)) return object.Error("single", "one Sequence", "two");
      continue;
    }
    if (item["SpecialToken"]["id"].get_string().get(name) != simdjson::SUCCESS ||
        !tokens.has_value()) {
      return object.Error("single", "SpecialToken or Sequence items", JsonExcerpt(item));
    }
    simdjson::dom::array ids;
    if (tokens->object().at_key(name)["ids"].get_array().get(ids) != simdjson::SUCCESS) {
      return tokens->Error(name, "an object with ids", "none");
    }
    for (const element value : ids) {
      int64_t id = -1;
      if (value.get_int64().get(id) != simdjson::SUCCESS || id < 0 || id >= kVocabularySizeMax) {
        return tokens->Error(name, "ids of the vocabulary", JsonExcerpt(value));
      }
      (after_text ? parts.end_ids : parts.begin_ids).push_back(static_cast<TokenId>(id));
    }
  }
  if (!after_text) return object.Error("single", "a Sequence", "none");
  return absl::OkStatus();
}

}  // namespace

absl::Status ParseNormalizer(const JsonObject& root, TokenizerParts& parts) {
  BANYAN_ASSIGN_OR_RETURN(const std::vector<Component> components,
                          Components(root, "normalizer", "normalizers"));
  for (const auto& [object, type] : components) {
    if (type == "NFC") {
      parts.normalizer.push_back({});
    } else if (type == "Prepend") {
      BANYAN_ASSIGN_OR_RETURN(std::string text, RequireString(object, "prepend"));
      parts.normalizer.push_back({NormalizerStep::Kind::kPrepend, "", std::move(text)});
    } else if (type == "Replace") {
      BANYAN_ASSIGN_OR_RETURN(NormalizerStep step, ParseReplace(object));
      parts.normalizer.push_back(std::move(step));
    } else {
      return object.Error("type", "NFC, Prepend, Replace or a Sequence of them", type);
    }
  }
  return absl::OkStatus();
}

absl::Status ParsePreTokenizer(const JsonObject& root, TokenizerParts& parts) {
  BANYAN_ASSIGN_OR_RETURN(const std::vector<Component> components,
                          Components(root, "pre_tokenizer", "pretokenizers"));
  for (const auto& [object, type] : components) {
    if (parts.bpe.byte_level || parts.blanks.has_value()) {
      return object.Error("type", "nothing after ByteLevel or Metaspace", type);
    }
    if (type == "ByteLevel") {
      BANYAN_RETURN_IF_ERROR(ParseByteLevel(object, parts));
    } else if (type == "Digits") {
      BANYAN_ASSIGN_OR_RETURN(const auto individual, object.Bool("individual_digits"));
      parts.split.push_back(individual.value_or(false) ? SplitRule::kDigitsEach
                                                       : SplitRule::kDigitRuns);
    } else if (type == "Split") {
      BANYAN_ASSIGN_OR_RETURN(const SplitRule rule, ParseSplit(object));
      parts.split.push_back(rule);
    } else if (type == "Metaspace" && parts.split.empty()) {
      BANYAN_RETURN_IF_ERROR(ParseMetaspace(object, parts));
    } else {
      return object.Error("type", "ByteLevel, Digits, Split, Metaspace or a Sequence of them",
                          type);
    }
  }
  return absl::OkStatus();
}

absl::Status ParsePostProcessor(const JsonObject& root, TokenizerParts& parts) {
  BANYAN_ASSIGN_OR_RETURN(const std::vector<Component> components,
                          Components(root, "post_processor", "processors"));
  for (const auto& [object, type] : components) {
    if (type == "TemplateProcessing") {
      BANYAN_RETURN_IF_ERROR(ParseTemplate(object, parts));
    } else if (type != "ByteLevel") {  // that one moves offsets only
      return object.Error("type", "TemplateProcessing, ByteLevel or a Sequence of them", type);
    }
  }
  TokenId size = static_cast<TokenId>(parts.tokens.size());
  for (const AddedToken& token : parts.added) size = std::max(size, token.id + 1);
  for (const std::vector<TokenId>* ids : {&parts.begin_ids, &parts.end_ids}) {
    for (const TokenId id : *ids) {
      if (id >= size) {
        return root.Error("post_processor", absl::StrFormat("ids below %d", size),
                          absl::StrFormat("%d", id));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status ParseDecoder(const JsonObject& root, TokenizerParts& parts) {
  BANYAN_ASSIGN_OR_RETURN(const std::vector<Component> components,
                          Components(root, "decoder", "decoders"));
  DecoderOptions& decoder = parts.decoder;
  bool byte_level = false;
  bool fused = false;
  for (const auto& [object, type] : components) {
    if (type == "ByteLevel" && components.size() == 1) {
      byte_level = true;
    } else if (type == "Replace" && decoder.replace_from.empty() && !decoder.byte_fallback) {
      BANYAN_ASSIGN_OR_RETURN(NormalizerStep step, ParseReplace(object));
      decoder.replace_from = std::move(step.pattern);
      decoder.replace_to = std::move(step.content);
    } else if (type == "ByteFallback" && !fused) {
      decoder.byte_fallback = true;
    } else if (type == "Fuse") {
      fused = true;
    } else if (type == "Strip" && fused && decoder.strip.empty()) {
      BANYAN_ASSIGN_OR_RETURN(decoder.strip, RequireString(object, "content"));
      BANYAN_ASSIGN_OR_RETURN(const auto start, object.Integer("start"));
      BANYAN_ASSIGN_OR_RETURN(const auto stop, object.Integer("stop"));
      if (stop.value_or(0) != 0) return object.Error("stop", "0", absl::StrFormat("%d", *stop));
      decoder.strip_count =
          static_cast<int32_t>(std::clamp<int64_t>(start.value_or(0), 0, 1 << 20));
    } else if (type == "Metaspace" && decoder.replace_from.empty()) {
      BANYAN_ASSIGN_OR_RETURN(decoder.replace_from, RequireString(object, "replacement"));
      BANYAN_ASSIGN_OR_RETURN(const PrependScheme scheme, ParsePrependScheme(object));
      decoder.replace_to = " ";
      decoder.drop_in_first = scheme != PrependScheme::kNever;
    } else {
      return object.Error("type",
                          "ByteLevel, Metaspace, or a Sequence of Replace, ByteFallback, Fuse and "
                          "Strip in this order",
                          type);
    }
  }
  if (byte_level != parts.bpe.byte_level || components.empty()) {
    return root.Error(
        "decoder",
        parts.bpe.byte_level ? "ByteLevel, as the pre-tokenizer" : "one for tokens that are text",
        components.empty() ? "none" : components[0].type);
  }
  return absl::OkStatus();
}

}  // namespace banyan
