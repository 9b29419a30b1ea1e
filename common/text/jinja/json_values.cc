#include "common/text/jinja/json_values.h"

#include <simdjson.h>

#include "common/base/status_macros.h"

namespace banyan::jinja {
namespace {

using simdjson::dom::element_type;

absl::StatusOr<Value> Convert(Arena& arena, const simdjson::dom::element& element, Origin strings);

absl::StatusOr<Value> ConvertArray(Arena& arena, const simdjson::dom::array& array,
                                   Origin strings) {
  SequenceBuilder items(arena);
  for (const simdjson::dom::element item : array) {
    BANYAN_ASSIGN_OR_RETURN(const Value value, Convert(arena, item, strings));
    items.Append(value);
    if (items.full())
      return Error("JSON is larger than the limit of %d bytes", arena.limit_bytes());
  }
  return items.Finish();
}

absl::StatusOr<Value> ConvertObject(Arena& arena, const simdjson::dom::object& object,
                                    Origin strings) {
  DictBuilder dict(arena);
  for (const auto field : object) {
    BANYAN_ASSIGN_OR_RETURN(const Value value, Convert(arena, field.value, strings));
    const Value key = Value::Str(NewString(arena, field.key, strings));
    BANYAN_RETURN_IF_ERROR(dict.Set(key, value));
  }
  return dict.Finish();
}

// The type was asked before, so the getters cannot fail.
absl::StatusOr<Value> Convert(Arena& arena, const simdjson::dom::element& element, Origin strings) {
  switch (element.type()) {
    case element_type::ARRAY:
      return ConvertArray(arena, element.get_array().value_unsafe(), strings);
    case element_type::OBJECT:
      return ConvertObject(arena, element.get_object().value_unsafe(), strings);
    case element_type::INT64:
      return Value::Int(element.get_int64().value_unsafe());
    case element_type::UINT64:
      return MakeInt(arena, element.get_uint64().value_unsafe());
    case element_type::DOUBLE:
      return Value::Float(element.get_double().value_unsafe());
    case element_type::STRING:
      return Value::Str(NewString(arena, element.get_string().value_unsafe(), strings));
    case element_type::BOOL:
      return Value::Bool(element.get_bool().value_unsafe());
    case element_type::NULL_VALUE:
      return Value::None();
  }
  return Value::None();
}

}  // namespace

absl::StatusOr<Value> ParseJson(Arena& arena, std::string_view json, Origin strings) {
  // Parsing buffers are about as large as the text several times over; they go away at once.
  if (json.size() > arena.limit_bytes() / 4) {
    return Error("JSON of %d bytes is larger than the limit of %d", json.size(),
                 arena.limit_bytes() / 4);
  }
  simdjson::dom::parser parser;
  if (parser.allocate(std::max<size_t>(json.size(), 32), kJsonDepthMax) != simdjson::SUCCESS) {
    return Error("JSON of %d bytes is too large", json.size());
  }
  simdjson::dom::element root;
  if (const auto error = parser.parse(json.data(), json.size()).get(root)) {
    return Error("not valid JSON: %s", simdjson::error_message(error));
  }
  return Convert(arena, root, strings);
}

}  // namespace banyan::jinja
