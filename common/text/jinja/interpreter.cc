#include "common/text/jinja/interpreter.h"

#include "common/base/status_macros.h"
#include "common/text/jinja/builtins.h"
#include "common/text/jinja/unicode.h"

namespace banyan::jinja {

const Value* Scope::FindHere(Symbol symbol) const {
  for (uint32_t i = 0; i < size; ++i) {
    if (bindings[i].symbol == symbol) return &bindings[i].value;
  }
  return nullptr;
}

void Interpreter::SetVariable(std::string_view name, const Value& value) {
  const Symbol* symbol = tree_.Find(name);
  if (symbol != nullptr) variables_[static_cast<size_t>(*symbol)] = arena_.New<Value>(value);
}

absl::Status Interpreter::Run(TextBuilder* out) {
  out_ = out;
  scope_ = NewScope(nullptr);
  absl::Status status = RunBlock(tree_.body);
  if (status.ok() && out->overflowed()) status = Step(0);
  if (status.ok() || raised_) return status;
  return Error("line %d: %s", line_, std::string(status.message()));
}

absl::Status Interpreter::Step(int64_t count) {
  steps_ += count;
  if (steps_ > limits_.max_steps) {
    return Error("the template ran for more than the limit of %d steps", limits_.max_steps);
  }
  if (arena_.exceeded()) {
    return Error("the template made more than the limit of %d bytes of values",
                 limits_.max_memory_bytes);
  }
  if (out_->overflowed()) {
    return Error("the output is longer than the limit of %d bytes", limits_.max_output_bytes);
  }
  return absl::OkStatus();
}

absl::Status Interpreter::Raise(std::string_view message) {
  raised_ = true;
  return Error("%s", message);
}

std::string_view Interpreter::KeepName(std::string_view name) {
  return NewString(arena_, name, Origin::kTemplate)->view();
}

absl::StatusOr<Value> Interpreter::Lacking(const Value& object, std::string_view name,
                                           Undefined::Reason reason) {
  return Value::Of(arena_.New<Undefined>(reason, TypeName(object), name));
}

Value Interpreter::BoundMethod(const Value& self, std::string_view name, NativeFunction call) {
  return Value::Of(arena_.New<Function>(name, call, self));
}

absl::StatusOr<Value> Interpreter::GetAttribute(const Value& object, std::string_view name) {
  switch (object.kind) {
    case Kind::kUndefined:
      return Error("%s", UndefinedMessage(object));
    case Kind::kNamespace:
      if (const Value* value = object.ns->Find(name)) return *value;
      return Lacking(object, name, Undefined::Reason::kAttribute);
    case Kind::kLoop:
      return LoopAttribute(object.loop, name);
    case Kind::kMacro:
      if (name == "name") return TemplateString(arena_, object.macro->definition->name);
      break;
    case Kind::kCycler:
      if (name == "current") return object.cycler->items[object.cycler->position];
      break;
    case Kind::kSequence:
      if (object.sequence->is_group && name == "grouper") return object.sequence->items[0];
      if (object.sequence->is_group && name == "list") return object.sequence->items[1];
      break;
    default:
      break;
  }
  const Method method = FindMethod(object, name);
  if (method.call != nullptr) return BoundMethod(object, name, method.call);
  if (method.unsafe) return Lacking(object, name, Undefined::Reason::kUnsafe);
  if (object.is_dict()) {
    if (const Value* value = object.dict->Find(name)) return *value;
  }
  return Lacking(object, name, Undefined::Reason::kAttribute);
}

absl::StatusOr<Value> Interpreter::GetItem(const Value& object, const Value& key) {
  if (object.is_undefined()) return Error("%s", UndefinedMessage(object));
  if (object.is_dict() && IsHashable(key)) {
    BANYAN_RETURN_IF_ERROR(ChargeBytes(WorkBytes(key)));
    if (const Value* value = object.dict->Find(key)) return *value;
  }
  if (key.is_integer()) {
    const BigInt wanted = ToBigInt(key);
    if (object.is_sequence() && object.sequence->flavor <= Flavor::kRange) {
      const auto size = static_cast<BigInt>(object.sequence->size);
      const BigInt index = wanted < 0 ? wanted + size : wanted;
      if (index >= 0 && index < size) return object.sequence->items[static_cast<size_t>(index)];
    } else if (object.is_string()) {
      const std::string_view text = object.text();
      BANYAN_RETURN_IF_ERROR(ChargeBytes(text.size()));
      const BigInt index =
          wanted < 0 ? wanted + static_cast<BigInt>(CountCharacters(text)) : wanted;
      if (index >= 0 && index < static_cast<BigInt>(text.size())) {
        const size_t begin = OffsetOfCharacter(text, static_cast<size_t>(index));
        if (begin < text.size()) {
          return Value::Str(
              Slice(arena_, *object.string, begin, begin + DecodeAt(text, begin).size));
        }
      }
    }
  }
  if (key.is_string()) return GetAttribute(object, key.text());
  return Lacking(object, "", Undefined::Reason::kElement);
}

absl::StatusOr<absl::Span<const Value>> Interpreter::Iterate(const Value& value) {
  switch (value.kind) {
    case Kind::kUndefined:
      return absl::Span<const Value>();
    case Kind::kSequence: {
      Sequence* sequence = value.sequence;
      if (sequence->flavor == Flavor::kIterator) {
        if (sequence->consumed) return absl::Span<const Value>();
        sequence->consumed = true;
      }
      return absl::MakeConstSpan(sequence->items, sequence->size);
    }
    case Kind::kDict: {
      auto* keys = arena_.NewArray<Value>(value.dict->size);
      if (keys == nullptr) return Error("out of memory");
      for (size_t i = 0; i < value.dict->size; ++i) keys[i] = value.dict->entries[i].key;
      return absl::MakeConstSpan(keys, value.dict->size);
    }
    case Kind::kString: {
      const String& s = *value.string;
      BANYAN_RETURN_IF_ERROR(ChargeBytes(s.size));
      const size_t count = CountCharacters(s.view());
      auto* items = arena_.NewArray<Value>(count);
      if (items == nullptr) return Error("out of memory");
      size_t at = 0;
      for (size_t i = 0; i < count; ++i) {
        if (arena_.exceeded()) return Error("out of memory");
        const size_t size = DecodeAt(s.view(), at).size;
        items[i] = Value::Str(Slice(arena_, s, at, at + size));
        at += size;
      }
      return absl::MakeConstSpan(items, count);
    }
    default:
      return Error("'%s' object is not iterable", TypeName(value));
  }
}

}  // namespace banyan::jinja
