// The `attribute` arguments of filters: "a.b.0", several separated by commas, or an integer.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "common/text/jinja/interpreter.h"
#include "common/text/jinja/value.h"

namespace banyan::jinja {

// What `path` leads to from `item`; `fallback`, if given, stands for undefined parts.
absl::StatusOr<Value> FollowPath(Interpreter& interpreter, const Value& item, const Value& path,
                                 const Value* fallback = nullptr);

// Upper and lower case are the same in comparisons of filters, unless case_sensitive is given.
enum class CaseSensitive { kNo, kYes };
Value ComparisonKey(Interpreter& interpreter, const Value& value, CaseSensitive case_sensitive);

}  // namespace banyan::jinja
