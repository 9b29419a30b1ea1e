// JSON texts to values.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "common/text/jinja/value.h"

namespace banyan::jinja {

inline constexpr size_t kJsonDepthMax = 64;

// All strings in it, keys too, get the origin `strings`. Doubled keys: the last value counts, as in
// Python. INVALID_ARGUMENT with what is wrong; also beyond kJsonDepthMax levels.
absl::StatusOr<Value> ParseJson(Arena& arena, std::string_view json, Origin strings);

}  // namespace banyan::jinja
