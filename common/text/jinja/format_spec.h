// Python's format specifications, common to `%`, str.format and the format filter.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/text/jinja/interpreter.h"
#include "common/text/jinja/value.h"

namespace banyan::jinja {

struct FormatSpec {
  std::string fill = " ";
  char align = 0;  // < > = ^, 0: by type
  char sign = '-';
  bool alternate = false;
  char grouping = 0;  // , or _
  int64_t width = 0;
  std::optional<int64_t> precision;
  char type = 0;
  bool is_printf = false;  // of `%`, where a precision of integers is the least number of digits
  bool is_empty = false;   // nothing given: str()
};

// Appends `value` as the specification says. Strings keep their user bytes.
absl::Status AppendFormatted(Interpreter& interpreter, const FormatSpec& spec, const Value& value,
                             TextBuilder* out);

// Reads digits at `*at`; nullopt if there are none. Larger than any limit is cut to one.
std::optional<int64_t> ReadCount(std::string_view text, size_t* at);

}  // namespace banyan::jinja
