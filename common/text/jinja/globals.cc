// The global functions that chat templates may call.
#include <limits>

#include "common/base/status_macros.h"
#include "common/text/jinja/builtin_entries.h"
#include "common/text/jinja/interpreter.h"
#include "common/text/jinja/python_text.h"
#include "common/text/jinja/strftime.h"

namespace banyan::jinja {
namespace {

using Result = absl::StatusOr<Value>;

constexpr int64_t kRangeSizeMax = 100'000;  // as Jinja2's sandbox

Result Range(Interpreter& interpreter, const Value&, const CallArgs& args) {
  const size_t n = args.positional.size();
  if (n == 0 || n > 3 || !args.named.empty()) return Error("range() takes 1 to 3 integers");
  for (const Value& v : args.positional) {
    if (v.is_undefined()) return Error("%s", UndefinedMessage(v));
    if (!v.is_integer()) return Error("range() needs integers, not '%s'", TypeName(v));
  }
  const BigInt begin = n == 1 ? 0 : ToBigInt(args.positional[0]);
  const BigInt end = ToBigInt(args.positional[n == 1 ? 0 : 1]);
  const BigInt step = n == 3 ? ToBigInt(args.positional[2]) : 1;
  constexpr BigInt kLimit = std::numeric_limits<int64_t>::max();
  for (const BigInt v : {begin, end, step}) {
    if (v > kLimit || v < -kLimit) return Error("range() bound is too large");
  }
  if (step == 0) return Error("range() step must not be zero");
  BigInt count = 0;
  if (step > 0 && begin < end) count = (end - begin - 1) / step + 1;
  if (step < 0 && end < begin) count = (begin - end - 1) / -step + 1;
  if (count > kRangeSizeMax) {
    return Error("range too big: %s items, the limit is %d", IntegerText(count), kRangeSizeMax);
  }
  auto* items = interpreter.arena().NewArray<Value>(static_cast<size_t>(count));
  if (items == nullptr) return Error("out of memory");
  for (BigInt i = 0; i < count; ++i) {
    items[static_cast<size_t>(i)] = Value::Int(static_cast<int64_t>(begin + i * step));
  }
  return MakeSequence(interpreter.arena(), items, static_cast<size_t>(count), Flavor::kRange);
}

Result MakeNamespace(Interpreter& interpreter, const Value&, const CallArgs& args) {
  Value result;
  result.kind = Kind::kNamespace;
  result.ns = interpreter.arena().New<Namespace>();
  for (const Value& value : args.positional) {
    if (!value.is_dict()) return Error("namespace() takes mappings and keyword arguments");
    for (size_t i = 0; i < value.dict->size; ++i) {
      const DictEntry& entry = value.dict->entries[i];
      if (!entry.key.is_string()) return Error("namespace() keys must be strings");
      BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(i * sizeof(DictEntry)));
      result.ns->Set(interpreter.arena(), entry.key.text(), entry.value);
    }
  }
  for (const auto& [name, value] : args.named) {
    result.ns->Set(interpreter.arena(), name, value);
  }
  return result;
}

Result MakeDict(Interpreter& interpreter, const Value&, const CallArgs& args) {
  DictBuilder dict(interpreter.arena());
  for (const Value& value : args.positional) {
    if (value.is_dict()) {
      for (size_t i = 0; i < value.dict->size; ++i) {
        BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(WorkBytes(value.dict->entries[i].key)));
        BANYAN_RETURN_IF_ERROR(dict.Set(value.dict->entries[i].key, value.dict->entries[i].value));
      }
      continue;
    }
    BANYAN_ASSIGN_OR_RETURN(const absl::Span<const Value> pairs, interpreter.Iterate(value));
    for (const Value& pair : pairs) {
      BANYAN_ASSIGN_OR_RETURN(const absl::Span<const Value> parts, interpreter.Iterate(pair));
      if (parts.size() != 2) return Error("dict() needs pairs of key and value");
      BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(WorkBytes(parts[0])));
      BANYAN_RETURN_IF_ERROR(dict.Set(parts[0], parts[1]));
    }
  }
  for (const auto& [name, value] : args.named) dict.Append(name, value);
  return dict.Finish();
}

Result RaiseException(Interpreter& interpreter, const Value&, const CallArgs& args) {
  const Value* message = args.Find(0, "message");
  if (message == nullptr) return Error("raise_exception() needs a message");
  return interpreter.Raise(ToString(interpreter.arena(), *message)->view());
}

Result StrftimeNow(Interpreter& interpreter, const Value&, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const String* format, StringArgument(args, 0, "format", "strftime_now"));
  return TemplateString(interpreter.arena(), FormatTime(interpreter.now(), format->view()));
}

Result MakeCycler(Interpreter& interpreter, const Value&, const CallArgs& args) {
  if (args.positional.empty()) return Error("cycler() needs at least one item");
  auto* items = interpreter.arena().NewArray<Value>(args.positional.size());
  if (items == nullptr) return Error("out of memory");
  std::copy(args.positional.begin(), args.positional.end(), items);
  Value result;
  result.kind = Kind::kCycler;
  result.cycler = interpreter.arena().New<Cycler>(items, args.positional.size(), size_t{0});
  return result;
}

Result MakeJoiner(Interpreter& interpreter, const Value&, const CallArgs& args) {
  const Value* separator = args.Find(0, "sep");
  Value result;
  result.kind = Kind::kJoiner;
  result.joiner = interpreter.arena().New<Joiner>(
      separator == nullptr ? NewString(interpreter.arena(), ", ", Origin::kTemplate)
                           : ToString(interpreter.arena(), *separator),
      false);
  return result;
}

// Placeholder text belongs to web pages; templates may test for the function, not use it.
Result Lipsum(Interpreter&, const Value&, const CallArgs&) {
  return Error("lipsum() is not available");
}

Result CyclerNext(Interpreter&, const Value& self, const CallArgs&) {
  Cycler* cycler = self.cycler;
  const Value current = cycler->items[cycler->position];
  cycler->position = (cycler->position + 1) % cycler->size;
  return current;
}

Result CyclerReset(Interpreter&, const Value& self, const CallArgs&) {
  self.cycler->position = 0;
  return Value::None();
}

}  // namespace

absl::Span<const BuiltinEntry> Globals() {
  static constexpr BuiltinEntry kEntries[] = {
      {"range", &Range},
      {"namespace", &MakeNamespace},
      {"dict", &MakeDict},
      {"raise_exception", &RaiseException},
      {"strftime_now", &StrftimeNow},
      {"cycler", &MakeCycler},
      {"joiner", &MakeJoiner},
      {"lipsum", &Lipsum},
  };
  return kEntries;
}

absl::Span<const BuiltinEntry> CyclerMethods() {
  static constexpr BuiltinEntry kEntries[] = {{"next", &CyclerNext}, {"reset", &CyclerReset}};
  return kEntries;
}

}  // namespace banyan::jinja
