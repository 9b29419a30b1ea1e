// Values as Python prints them, and as its json.dumps writes them.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/text/jinja/text_builder.h"
#include "common/text/jinja/value.h"

namespace banyan::jinja {

// str(value): undefined is empty, strings as they are.
void AppendStr(const Value& value, TextBuilder* out);
// repr(value): strings quoted.
void AppendRepr(const Value& value, TextBuilder* out);
// The string itself, or str(value) as a new one.
const String* ToString(Arena& arena, const Value& value);

// The shortest decimal that reads back as `value`, in Python's spelling: 1.0, 1e-05, inf.
std::string FloatRepr(double value);
std::string IntegerText(BigInt value);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  // of one level; absent: all on one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
// INVALID_ARGUMENT for what JSON cannot express.
absl::Status AppendJson(const Value& value, const JsonStyle& style, TextBuilder* out);

}  // namespace banyan::jinja
