// Python's operators on values. Errors are those that Python raises, as INVALID_ARGUMENT.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "common/text/jinja/ast.h"
#include "common/text/jinja/interpreter.h"
#include "common/text/jinja/value.h"

namespace banyan::jinja {

absl::StatusOr<Value> Arithmetic(Interpreter& interpreter, Operator op, const Value& a,
                                 const Value& b);
absl::StatusOr<Value> Negate(Interpreter& interpreter, const Value& value);

// For ==, <, in and the like.
absl::StatusOr<bool> Compare(Interpreter& interpreter, Operator op, const Value& a, const Value& b);
absl::StatusOr<bool> Less(Interpreter& interpreter, const Value& a, const Value& b);

// value[begin:end:step]; absent or none means open.
absl::StatusOr<Value> SliceValue(Interpreter& interpreter, const Value& value, const Value& begin,
                                 const Value& end, const Value& step);

// `format % arguments`.
absl::StatusOr<Value> FormatPercent(Interpreter& interpreter, const String& format,
                                    const Value& arguments);

}  // namespace banyan::jinja
