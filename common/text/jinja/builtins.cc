#include "common/text/jinja/builtins.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "common/text/jinja/builtin_entries.h"

namespace banyan::jinja {
namespace {

using Table = std::unordered_map<std::string_view, NativeFunction>;

Table* NewTable(std::initializer_list<absl::Span<const BuiltinEntry>> parts) {
  auto* table = new Table;
  for (const auto part : parts) {
    for (const BuiltinEntry& entry : part) table->emplace(entry.name, entry.function);
  }
  return table;
}

NativeFunction Find(const Table& table, std::string_view name) {
  const auto it = table.find(name);
  return it == table.end() ? nullptr : it->second;
}

bool Contains(std::initializer_list<std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

// The tables live as long as the process; they are never destroyed.
NativeFunction FindFilter(std::string_view name) {
  static const Table& table =
      *NewTable({ValueFilters(), TextFilters(), SequenceFilters(), SelectFilters()});
  return Find(table, name);
}

NativeFunction FindTest(std::string_view name) {
  static const Table& table = *NewTable({Tests()});
  return Find(table, name);
}

NativeFunction FindGlobal(std::string_view name) {
  static const Table& table = *NewTable({Globals()});
  return Find(table, name);
}

Method FindMethod(const Value& object, std::string_view name) {
  static const Table& strings = *NewTable({StringMethods(), StringSearchMethods()});
  static const Table& lists = *NewTable({ListMethods()});
  static const Table& dicts = *NewTable({DictMethods()});
  static const Table& cyclers = *NewTable({CyclerMethods()});
  switch (object.kind) {
    case Kind::kString:
      return {Find(strings, name), false};
    case Kind::kSequence:
      if (object.sequence->flavor > Flavor::kRange) return {};
      return {Find(lists, name), object.sequence->flavor == Flavor::kList &&
                                     Contains({"append", "clear", "extend", "insert", "pop",
                                               "remove", "reverse", "sort"},
                                              name)};
    case Kind::kDict:
      return {Find(dicts, name),
              Contains({"clear", "pop", "popitem", "setdefault", "update"}, name)};
    case Kind::kCycler:
      return {Find(cyclers, name), false};
    default:
      return {};
  }
}

absl::StatusOr<const String*> StringArgument(const CallArgs& args, size_t position,
                                             std::string_view name, std::string_view function) {
  const Value* value = args.Find(position, name);
  if (value == nullptr) return Error("%s() needs the argument '%s'", function, name);
  if (!value->is_string()) {
    if (value->is_undefined()) return Error("%s", UndefinedMessage(*value));
    return Error("%s() argument '%s' must be str, not %s", function, name, TypeName(*value));
  }
  return value->string;
}

absl::StatusOr<int64_t> IntegerArgument(const CallArgs& args, size_t position,
                                        std::string_view name, int64_t fallback) {
  const Value* value = args.Find(position, name);
  if (value == nullptr || value->is_none()) return fallback;
  if (!value->is_integer()) {
    return Error("argument '%s' must be an integer, not %s", name, TypeName(*value));
  }
  return static_cast<int64_t>(std::clamp<BigInt>(
      ToBigInt(*value), std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()));
}

bool BoolArgument(const CallArgs& args, size_t position, std::string_view name, bool fallback) {
  const Value* value = args.Find(position, name);
  return value == nullptr ? fallback : IsTrue(*value);
}

}  // namespace banyan::jinja
