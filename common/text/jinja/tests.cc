// Jinja's tests, what stands after `is`.
#include "common/base/status_macros.h"
#include "common/text/jinja/builtin_entries.h"
#include "common/text/jinja/builtins.h"
#include "common/text/jinja/operators.h"
#include "common/text/jinja/python_text.h"
#include "common/text/jinja/unicode.h"

namespace banyan::jinja {
namespace {

using Result = absl::StatusOr<Value>;

template <bool (*kHolds)(const Value&)>
Result Test(Interpreter&, const Value& self, const CallArgs&) {
  return Value::Bool(kHolds(self));
}

bool IsDefined(const Value& v) { return !v.is_undefined(); }
bool IsUndefined(const Value& v) { return v.is_undefined(); }
bool IsNone(const Value& v) { return v.is_none(); }
bool IsBoolean(const Value& v) { return v.kind == Kind::kBool; }
bool IsTrueValue(const Value& v) { return v.kind == Kind::kBool && v.boolean; }
bool IsFalseValue(const Value& v) { return v.kind == Kind::kBool && !v.boolean; }
bool IsIntegerValue(const Value& v) { return v.kind == Kind::kInt || v.kind == Kind::kBigInt; }
bool IsFloat(const Value& v) { return v.kind == Kind::kFloat; }
bool IsNumber(const Value& v) { return v.is_number(); }
bool IsString(const Value& v) { return v.is_string(); }
bool IsMapping(const Value& v) { return v.is_dict(); }
bool IsEscaped(const Value&) { return false; }

bool IsIterable(const Value& v) {
  return v.is_undefined() || v.is_string() || v.is_dict() || v.is_sequence();
}

bool IsSequence(const Value& v) {
  if (v.is_sequence()) return v.sequence->flavor <= Flavor::kRange;
  return v.is_undefined() || v.is_string() || v.is_dict();
}

bool IsCallable(const Value& v) {
  return v.kind == Kind::kFunction || v.kind == Kind::kMacro || v.kind == Kind::kJoiner ||
         v.kind == Kind::kLoop || v.is_undefined();
}

// Whether all cased characters are of one case and there is at least one.
bool HasCase(std::string_view text, bool (*is_wanted)(char32_t), bool (*is_other)(char32_t)) {
  bool found = false;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = DecodeAt(text, at);
    if (is_other(c.value) || IsTitle(c.value)) return false;
    found |= is_wanted(c.value);
    at += c.size;
  }
  return found;
}

Result IsLowerText(Interpreter& interpreter, const Value& self, const CallArgs&) {
  return Value::Bool(HasCase(ToString(interpreter.arena(), self)->view(), &IsLower, &IsUpper));
}

Result IsUpperText(Interpreter& interpreter, const Value& self, const CallArgs&) {
  return Value::Bool(HasCase(ToString(interpreter.arena(), self)->view(), &IsUpper, &IsLower));
}

template <Operator kOperator>
Result ComparisonTest(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  const Value* other = args.Find(0, "other");
  if (other == nullptr) return Error("the test needs a value to compare with");
  BANYAN_ASSIGN_OR_RETURN(const bool holds, Compare(interpreter, kOperator, self, *other));
  return Value::Bool(holds);
}

Result IsIn(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  const Value* container = args.Find(0, "seq");
  if (container == nullptr) return Error("the test 'in' needs a container");
  BANYAN_ASSIGN_OR_RETURN(const bool holds, Compare(interpreter, Operator::kIn, self, *container));
  return Value::Bool(holds);
}

// Constants are the same object when equal; other values when they share storage.
Result IsSameAs(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  const Value* other = args.Find(0, "other");
  if (other == nullptr) return Error("the test 'sameas' needs a value to compare with");
  if (self.kind != other->kind) return Value::Bool(false);
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(WorkBytes(self)));
  const bool by_value = self.is_none() || self.is_number() || self.is_string();
  return Value::Bool(by_value ? Equal(self, *other) : self.ns == other->ns);
}

absl::StatusOr<BigInt> Remainder(const Value& self, BigInt divisor) {
  if (!self.is_integer()) {
    if (self.is_undefined()) return Error("%s", UndefinedMessage(self));
    return Error("the test needs an integer, not '%s'", TypeName(self));
  }
  if (divisor == 0) return Error("integer modulo by zero");
  if (divisor == -1) return BigInt{0};
  return ToBigInt(self) % divisor;
}

Result IsDivisibleBy(Interpreter&, const Value& self, const CallArgs& args) {
  const Value* divisor = args.Find(0, "num");
  if (divisor == nullptr || !divisor->is_integer()) {
    return Error("the test 'divisibleby' needs an integer");
  }
  BANYAN_ASSIGN_OR_RETURN(const BigInt remainder, Remainder(self, ToBigInt(*divisor)));
  return Value::Bool(remainder == 0);
}

template <bool kOdd>
Result IsParity(Interpreter&, const Value& self, const CallArgs&) {
  BANYAN_ASSIGN_OR_RETURN(const BigInt remainder, Remainder(self, 2));
  return Value::Bool((remainder != 0) == kOdd);
}

template <NativeFunction (*kFind)(std::string_view)>
Result IsKnownName(Interpreter&, const Value& self, const CallArgs&) {
  return Value::Bool(self.is_string() && kFind(self.text()) != nullptr);
}

}  // namespace

absl::Span<const BuiltinEntry> Tests() {
  static constexpr BuiltinEntry kEntries[] = {
      {"defined", &Test<IsDefined>},
      {"undefined", &Test<IsUndefined>},
      {"none", &Test<IsNone>},
      {"boolean", &Test<IsBoolean>},
      {"true", &Test<IsTrueValue>},
      {"false", &Test<IsFalseValue>},
      {"integer", &Test<IsIntegerValue>},
      {"float", &Test<IsFloat>},
      {"number", &Test<IsNumber>},
      {"string", &Test<IsString>},
      {"mapping", &Test<IsMapping>},
      {"iterable", &Test<IsIterable>},
      {"sequence", &Test<IsSequence>},
      {"callable", &Test<IsCallable>},
      {"escaped", &Test<IsEscaped>},
      {"lower", &IsLowerText},
      {"upper", &IsUpperText},
      {"in", &IsIn},
      {"sameas", &IsSameAs},
      {"divisibleby", &IsDivisibleBy},
      {"odd", &IsParity<true>},
      {"even", &IsParity<false>},
      {"filter", &IsKnownName<FindFilter>},
      {"test", &IsKnownName<FindTest>},
      {"eq", &ComparisonTest<Operator::kEqual>},
      {"equalto", &ComparisonTest<Operator::kEqual>},
      {"==", &ComparisonTest<Operator::kEqual>},
      {"ne", &ComparisonTest<Operator::kNotEqual>},
      {"!=", &ComparisonTest<Operator::kNotEqual>},
      {"lt", &ComparisonTest<Operator::kLess>},
      {"lessthan", &ComparisonTest<Operator::kLess>},
      {"<", &ComparisonTest<Operator::kLess>},
      {"le", &ComparisonTest<Operator::kLessEqual>},
      {"<=", &ComparisonTest<Operator::kLessEqual>},
      {"gt", &ComparisonTest<Operator::kGreater>},
      {"greaterthan", &ComparisonTest<Operator::kGreater>},
      {">", &ComparisonTest<Operator::kGreater>},
      {"ge", &ComparisonTest<Operator::kGreaterEqual>},
      {">=", &ComparisonTest<Operator::kGreaterEqual>},
  };
  return kEntries;
}

}  // namespace banyan::jinja
