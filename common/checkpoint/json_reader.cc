#include "common/checkpoint/json_reader.h"

#include "absl/strings/str_format.h"

namespace banyan {
namespace {

constexpr size_t kJsonBytesMax = 64u << 20;
constexpr size_t kJsonDepthMax = 64;
constexpr size_t kExcerptBytes = 64;

}  // namespace

std::string JsonExcerpt(simdjson::dom::element element) {
  if (element.is_object()) return "an object";
  if (element.is_array()) return "an array";
  std::string text = simdjson::minify(element);
  if (text.size() > kExcerptBytes) text.resize(kExcerptBytes);
  return text;
}

absl::StatusOr<JsonObject> JsonObject::Parse(simdjson::dom::parser& parser, std::string_view text,
                                             std::string_view file) {
  if (text.size() > kJsonBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: %u bytes of JSON, limit %u", file, text.size(), kJsonBytesMax));
  }
  simdjson::dom::element root;
  simdjson::error_code error = parser.allocate(text.size(), kJsonDepthMax);
  if (error == simdjson::SUCCESS) error = parser.parse(text.data(), text.size()).get(root);
  if (error != simdjson::SUCCESS) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: not valid JSON: %s", file, simdjson::error_message(error)));
  }
  simdjson::dom::object object;
  if (root.get_object().get(object) != simdjson::SUCCESS) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: expected a JSON object, found %s", file, JsonExcerpt(root)));
  }
  return JsonObject(object, std::string(file));
}

std::optional<simdjson::dom::element> JsonObject::Find(std::string_view key) const {
  simdjson::dom::element element;
  if (object_.at_key(key).get(element) != simdjson::SUCCESS || element.is_null())
    return std::nullopt;
  return element;
}

absl::Status JsonObject::Error(std::string_view key, std::string_view expected,
                               std::string_view found) const {
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: %s%s: expected %s, found %s", file_, path_, key, expected, found));
}

absl::Status JsonObject::TypeError(std::string_view key, std::string_view expected,
                                   simdjson::dom::element found) const {
  return Error(key, expected, JsonExcerpt(found));
}

absl::StatusOr<std::optional<int64_t>> JsonObject::Integer(std::string_view key) const {
  const auto element = Find(key);
  if (!element) return std::nullopt;
  int64_t value = 0;
  if (element->get_int64().get(value) != simdjson::SUCCESS)
    return TypeError(key, "an integer", *element);
  return value;
}

absl::StatusOr<std::optional<double>> JsonObject::Real(std::string_view key) const {
  const auto element = Find(key);
  if (!element) return std::nullopt;
  double value = 0;
  if (element->get_double().get(value) != simdjson::SUCCESS)
    return TypeError(key, "a number", *element);
  return value;
}

absl::StatusOr<std::optional<bool>> JsonObject::Bool(std::string_view key) const {
  const auto element = Find(key);
  if (!element) return std::nullopt;
  bool value = false;
  if (element->get_bool().get(value) != simdjson::SUCCESS)
    return TypeError(key, "true or false", *element);
  return value;
}

absl::StatusOr<std::optional<std::string_view>> JsonObject::String(std::string_view key) const {
  const auto element = Find(key);
  if (!element) return std::nullopt;
  std::string_view value;
  if (element->get_string().get(value) != simdjson::SUCCESS)
    return TypeError(key, "a string", *element);
  return value;
}

absl::StatusOr<std::optional<JsonObject>> JsonObject::Object(std::string_view key) const {
  const auto element = Find(key);
  if (!element) return std::nullopt;
  simdjson::dom::object value;
  if (element->get_object().get(value) != simdjson::SUCCESS)
    return TypeError(key, "an object", *element);
  return JsonObject(value, file_, absl::StrFormat("%s%s.", path_, key));
}

}  // namespace banyan
