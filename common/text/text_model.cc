#include "common/text/text_model.h"

#include <simdjson.h>

#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/checkpoint/gguf_header.h"
#include "common/checkpoint/hf_config.h"
#include "common/checkpoint/json_reader.h"

namespace banyan {
namespace {

using simdjson::dom::element;

constexpr std::string_view kConfigAsset = "tokenizer_config.json";

// What a template needs besides its messages.
struct TemplateSource {
  std::optional<std::string> source;
  std::string bos_token;
  std::string eos_token;
};

// A token of tokenizer_config.json: "text" or {"content": "text"}; null or absent: "".
absl::StatusOr<std::string> TokenText(const JsonObject& config, std::string_view key) {
  const std::optional<element> value = config.Find(key);
  if (!value.has_value()) return std::string();
  std::string_view text;
  if (value->get_string().get(text) == simdjson::SUCCESS ||
      value->at_key("content").get_string().get(text) == simdjson::SUCCESS) {
    return std::string(text);
  }
  return config.Error(key, "a string or an object with content", JsonExcerpt(*value));
}

// chat_template: a string, or a list of {"name", "template"} of which "default" is taken.
absl::StatusOr<std::optional<std::string>> TemplateOfConfig(const JsonObject& config) {
  const std::optional<element> value = config.Find("chat_template");
  if (!value.has_value()) return std::nullopt;
  std::string_view text;
  if (value->get_string().get(text) == simdjson::SUCCESS) return std::string(text);
  simdjson::dom::array items;
  if (value->get_array().get(items) != simdjson::SUCCESS) {
    return config.Error("chat_template", "a string or a list of named templates",
                        JsonExcerpt(*value));
  }
  for (const element item : items) {
    std::string_view name;
    if (item.at_key("name").get_string().get(name) == simdjson::SUCCESS && name == "default" &&
        item.at_key("template").get_string().get(text) == simdjson::SUCCESS) {
      return std::string(text);
    }
  }
  return config.Error("chat_template", "a template of the name \"default\"", "none");
}

absl::StatusOr<TemplateSource> ReadHuggingFace(const TextAssets& assets) {
  TemplateSource result;
  simdjson::dom::parser parser;
  if (const std::string* json = assets.Find(kConfigAsset)) {
    BANYAN_ASSIGN_OR_RETURN(const JsonObject config,
                            JsonObject::Parse(parser, *json, kConfigAsset));
    BANYAN_ASSIGN_OR_RETURN(result.bos_token, TokenText(config, "bos_token"));
    BANYAN_ASSIGN_OR_RETURN(result.eos_token, TokenText(config, "eos_token"));
    // The file of its own comes first.
    if (assets.Find("chat_template.jinja") == nullptr) {
      BANYAN_ASSIGN_OR_RETURN(result.source, TemplateOfConfig(config));
    }
  }
  if (const std::string* jinja = assets.Find("chat_template.jinja")) result.source = *jinja;
  return result;
}

absl::StatusOr<TemplateSource> ReadGguf(const std::string& bytes, const Tokenizer& tokenizer) {
  TemplateSource result;
  BANYAN_ASSIGN_OR_RETURN(const GgufHeader header,
                          GgufHeader::Parse(std::as_bytes(std::span(bytes)), kGgufHeaderAsset));
  BANYAN_ASSIGN_OR_RETURN(const auto source, header.String("tokenizer.chat_template"));
  if (source.has_value()) result.source = std::string(*source);
  BANYAN_ASSIGN_OR_RETURN(const auto bos, header.Integer("tokenizer.ggml.bos_token_id"));
  BANYAN_ASSIGN_OR_RETURN(const auto eos, header.Integer("tokenizer.ggml.eos_token_id"));
  // The tokenizer's loader has refused ids that are out of range.
  if (bos.has_value()) result.bos_token = tokenizer.TokenBytes(static_cast<TokenId>(*bos));
  if (eos.has_value()) result.eos_token = tokenizer.TokenBytes(static_cast<TokenId>(*eos));
  return result;
}

}  // namespace

absl::StatusOr<std::unique_ptr<const TextModel>> TextModel::Load(const TextAssets& assets) {
  auto model = std::make_unique<TextModel>();
  BANYAN_ASSIGN_OR_RETURN(model->tokenizer, Tokenizer::Load(assets));
  TemplateSource source;
  const std::string* gguf = assets.Find(kGgufHeaderAsset);
  if (gguf != nullptr && assets.Find("tokenizer.json") == nullptr) {
    BANYAN_ASSIGN_OR_RETURN(source, ReadGguf(*gguf, *model->tokenizer));
  } else {
    BANYAN_ASSIGN_OR_RETURN(source, ReadHuggingFace(assets));
  }
  if (source.source.has_value()) {
    absl::StatusOr<ChatTemplate> parsed = ChatTemplate::Parse(
        *source.source, std::move(source.bos_token), std::move(source.eos_token));
    if (!parsed.ok()) {
      return absl::Status(parsed.status().code(),
                          absl::StrFormat("chat_template: %s", parsed.status().message()));
    }
    model->chat_template = *std::move(parsed);
  }
  constexpr std::string_view kGenerationAsset = "generation_config.json";
  if (const std::string* json = assets.Find(kGenerationAsset)) {
    BANYAN_ASSIGN_OR_RETURN(model->generation_defaults,
                            ParseGenerationDefaults(*json, kGenerationAsset));
  }
  return model;
}

}  // namespace banyan
