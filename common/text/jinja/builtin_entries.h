// The tables of built-in functions, one per file that defines some.
#pragma once

#include <string_view>

#include "absl/types/span.h"
#include "common/text/jinja/value.h"

namespace banyan::jinja {

struct BuiltinEntry {
  std::string_view name;
  NativeFunction function;
};

absl::Span<const BuiltinEntry> ValueFilters();
absl::Span<const BuiltinEntry> TextFilters();
absl::Span<const BuiltinEntry> SequenceFilters();
absl::Span<const BuiltinEntry> SelectFilters();
absl::Span<const BuiltinEntry> Tests();
absl::Span<const BuiltinEntry> Globals();
absl::Span<const BuiltinEntry> StringMethods();
absl::Span<const BuiltinEntry> StringSearchMethods();
absl::Span<const BuiltinEntry> ListMethods();
absl::Span<const BuiltinEntry> DictMethods();
absl::Span<const BuiltinEntry> CyclerMethods();

// The argument as a string; INVALID_ARGUMENT naming function and parameter if it is none.
absl::StatusOr<const String*> StringArgument(const CallArgs& args, size_t position,
                                             std::string_view name, std::string_view function);
// The argument as an integer that fits int64 (larger ones are clamped), or `fallback` if absent.
absl::StatusOr<int64_t> IntegerArgument(const CallArgs& args, size_t position,
                                        std::string_view name, int64_t fallback);
bool BoolArgument(const CallArgs& args, size_t position, std::string_view name, bool fallback);

}  // namespace banyan::jinja
