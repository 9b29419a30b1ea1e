// Methods of list, tuple, range and dict that change nothing.
#include "common/base/status_macros.h"
#include "common/text/jinja/builtin_entries.h"
#include "common/text/jinja/interpreter.h"
#include "common/text/jinja/operators.h"

namespace banyan::jinja {
namespace {

using Result = absl::StatusOr<Value>;

Result ListCount(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  if (args.positional.size() != 1) return Error("count() takes exactly one argument");
  int64_t count = 0;
  for (size_t i = 0; i < self.sequence->size; ++i) {
    BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(WorkBytes(self.sequence->items[i])));
    count += Equal(self.sequence->items[i], args.positional[0]) ? 1 : 0;
  }
  return Value::Int(count);
}

Result ListIndex(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  if (args.positional.empty()) return Error("index() needs an argument");
  for (size_t i = 0; i < self.sequence->size; ++i) {
    BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(WorkBytes(self.sequence->items[i])));
    if (Equal(self.sequence->items[i], args.positional[0])) {
      return Value::Int(static_cast<int64_t>(i));
    }
  }
  return Error("the value is not in the %s", TypeName(self));
}

Result Copy(Interpreter&, const Value& self, const CallArgs&) { return self; }

Result DictGet(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  if (args.positional.empty()) return Error("get() needs an argument");
  const Value& key = args.positional[0];
  if (!IsHashable(key)) return Error("unhashable type: '%s'", TypeName(key));
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(WorkBytes(key)));
  if (const Value* value = self.dict->Find(key)) return *value;
  const Value* fallback = args.Find(1, "default");
  return fallback == nullptr ? Value::None() : *fallback;
}

Result DictKeys(Interpreter& interpreter, const Value& self, const CallArgs&) {
  BANYAN_ASSIGN_OR_RETURN(const absl::Span<const Value> keys, interpreter.Iterate(self));
  return MakeSequence(interpreter.arena(), keys.data(), keys.size(), Flavor::kDictKeys);
}

Result DictValues(Interpreter& interpreter, const Value& self, const CallArgs&) {
  SequenceBuilder values(interpreter.arena());
  for (size_t i = 0; i < self.dict->size; ++i) values.Append(self.dict->entries[i].value);
  return values.Finish(Flavor::kDictValues);
}

Result DictItems(Interpreter& interpreter, const Value& self, const CallArgs&) {
  Arena& arena = interpreter.arena();
  SequenceBuilder items(arena);
  for (size_t i = 0; i < self.dict->size && !items.full(); ++i) {
    auto* pair = arena.NewArray<Value>(2);
    if (pair == nullptr) return Error("out of memory");
    pair[0] = self.dict->entries[i].key;
    pair[1] = self.dict->entries[i].value;
    BANYAN_ASSIGN_OR_RETURN(const Value tuple, MakeSequence(arena, pair, 2, Flavor::kTuple));
    items.Append(tuple);
  }
  return items.Finish(Flavor::kDictItems);
}

}  // namespace

absl::Span<const BuiltinEntry> ListMethods() {
  static constexpr BuiltinEntry kEntries[] = {
      {"count", &ListCount}, {"index", &ListIndex}, {"copy", &Copy}};
  return kEntries;
}

absl::Span<const BuiltinEntry> DictMethods() {
  static constexpr BuiltinEntry kEntries[] = {{"get", &DictGet},
                                              {"keys", &DictKeys},
                                              {"values", &DictValues},
                                              {"items", &DictItems},
                                              {"copy", &Copy}};
  return kEntries;
}

}  // namespace banyan::jinja
