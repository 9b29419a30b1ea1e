#include "common/text/jinja/attribute_path.h"

#include <algorithm>

#include "common/base/status_macros.h"
#include "common/text/jinja/format_spec.h"
#include "common/text/jinja/text_ops.h"

namespace banyan::jinja {

absl::StatusOr<Value> FollowPath(Interpreter& interpreter, const Value& item, const Value& path,
                                 const Value* fallback) {
  if (path.is_integer()) return interpreter.GetItem(item, path);
  if (!path.is_string()) return Error("attribute must be a string, not '%s'", TypeName(path));
  Value value = item;
  std::string_view rest = path.text();
  while (true) {
    BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(Interpreter::kBytesPerStep));
    const size_t dot = std::min(rest.find('.'), rest.size());
    const String part{.data = rest.data(), .size = dot};
    size_t digits = 0;
    const std::optional<int64_t> index = ReadCount(part.view(), &digits);
    const bool is_index = index && digits == part.size;
    BANYAN_ASSIGN_OR_RETURN(
        value, interpreter.GetItem(value, is_index ? Value::Int(*index) : Value::Str(&part)));
    if (fallback != nullptr && value.is_undefined()) value = *fallback;
    if (dot == rest.size()) return value;
    rest.remove_prefix(dot + 1);
  }
}

Value ComparisonKey(Interpreter& interpreter, const Value& value, CaseSensitive case_sensitive) {
  if (!value.is_string() || case_sensitive == CaseSensitive::kYes) return value;
  const absl::StatusOr<Value> lower = MapText(interpreter, *value.string, &MapLower);
  return lower.ok() ? *lower : value;
}

}  // namespace banyan::jinja
