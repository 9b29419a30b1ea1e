// str.format (Python documentation, "Format String Syntax").
#pragma once

#include "absl/status/statusor.h"
#include "common/text/jinja/interpreter.h"
#include "common/text/jinja/value.h"

namespace banyan::jinja {

absl::StatusOr<Value> FormatBraces(Interpreter& interpreter, const String& format,
                                   const CallArgs& args);

}  // namespace banyan::jinja
