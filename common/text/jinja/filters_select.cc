// map, select, reject, selectattr and rejectattr: filters that apply other filters and tests.
#include "common/base/status_macros.h"
#include "common/text/jinja/attribute_path.h"
#include "common/text/jinja/builtin_entries.h"
#include "common/text/jinja/builtins.h"
#include "common/text/jinja/interpreter.h"

namespace banyan::jinja {
namespace {

using Result = absl::StatusOr<Value>;
using Items = absl::Span<const Value>;

// Jinja2 looks at no value that is false, whatever its type.
absl::StatusOr<Items> ItemsIfTrue(Interpreter& interpreter, const Value& value) {
  if (!IsTrue(value)) return Items();
  return interpreter.Iterate(value);
}

// The arguments from `first` on, for the inner filter or test.
CallArgs Rest(const CallArgs& args, size_t first) {
  CallArgs rest;
  for (size_t i = first; i < args.positional.size(); ++i) {
    rest.positional.push_back(args.positional[i]);
  }
  rest.named = args.named;
  return rest;
}

Result MapAttribute(Interpreter& interpreter, Items items, const Value& attribute,
                    const Value* fallback) {
  SequenceBuilder mapped(interpreter.arena());
  for (const Value& item : items) {
    if (mapped.full()) break;
    BANYAN_ASSIGN_OR_RETURN(const Value value, FollowPath(interpreter, item, attribute, fallback));
    mapped.Append(value);
  }
  return mapped.Finish(Flavor::kIterator);
}

Result Map(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const Items items, ItemsIfTrue(interpreter, self));
  if (args.positional.empty()) {
    const Value* attribute = args.FindNamed("attribute");
    if (attribute == nullptr) return Error("map needs a filter name or an attribute");
    return MapAttribute(interpreter, items, *attribute, args.FindNamed("default"));
  }
  BANYAN_ASSIGN_OR_RETURN(const String* name, StringArgument(args, 0, "filter", "map"));
  const NativeFunction filter = FindFilter(name->view());
  if (filter == nullptr) return Error("no filter named '%s'", name->view());
  const CallArgs rest = Rest(args, 1);
  SequenceBuilder mapped(interpreter.arena());
  for (const Value& item : items) {
    BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(Interpreter::kBytesPerStep));
    BANYAN_ASSIGN_OR_RETURN(const Value value, filter(interpreter, item, rest));
    mapped.Append(value);
  }
  return mapped.Finish(Flavor::kIterator);
}

// Keeps the items for which the test gives kKeep; with kByAttribute the test looks at an attribute.
template <bool kKeep, bool kByAttribute>
Result Select(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  constexpr size_t kTestPosition = kByAttribute ? 1 : 0;
  if (kByAttribute && args.positional.empty()) return Error("the filter needs an attribute");
  BANYAN_ASSIGN_OR_RETURN(const Items items, ItemsIfTrue(interpreter, self));
  NativeFunction test = nullptr;
  if (args.positional.size() > kTestPosition) {
    BANYAN_ASSIGN_OR_RETURN(const String* name,
                            StringArgument(args, kTestPosition, "test", "select"));
    test = FindTest(name->view());
    if (test == nullptr) return Error("no test named '%s'", name->view());
  }
  const CallArgs rest = Rest(args, kTestPosition + 1);
  SequenceBuilder kept(interpreter.arena());
  for (const Value& item : items) {
    BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(Interpreter::kBytesPerStep));
    Value tested = item;
    if (kByAttribute) {
      BANYAN_ASSIGN_OR_RETURN(tested, FollowPath(interpreter, item, args.positional[0]));
    }
    Value holds = tested;
    if (test != nullptr) {
      BANYAN_ASSIGN_OR_RETURN(holds, test(interpreter, tested, rest));
    }
    if (IsTrue(holds) == kKeep) kept.Append(item);
  }
  return kept.Finish(Flavor::kIterator);
}

}  // namespace

absl::Span<const BuiltinEntry> SelectFilters() {
  static constexpr BuiltinEntry kEntries[] = {
      {"map", &Map},
      {"select", &Select<true, false>},
      {"reject", &Select<false, false>},
      {"selectattr", &Select<true, true>},
      {"rejectattr", &Select<false, true>},
  };
  return kEntries;
}

}  // namespace banyan::jinja
