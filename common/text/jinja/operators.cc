#include "common/text/jinja/operators.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/base/status_macros.h"
#include "common/text/jinja/unicode.h"

namespace banyan::jinja {
namespace {

constexpr const char* kOperatorNames[] = {
    "+", "-", "*", "/", "//", "%", "** or pow()", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};

const char* NameOf(Operator op) { return kOperatorNames[static_cast<size_t>(op)]; }

absl::Status Unsupported(Operator op, const Value& a, const Value& b) {
  if (a.is_undefined()) return Error("%s", UndefinedMessage(a));
  if (b.is_undefined()) return Error("%s", UndefinedMessage(b));
  if (op == Operator::kAdd && (a.is_string() || a.is_sequence())) {
    return Error("can only concatenate %s (not \"%s\") to %s", TypeName(a), TypeName(b),
                 TypeName(a));
  }
  return Error("unsupported operand type(s) for %s: '%s' and '%s'", NameOf(op), TypeName(a),
               TypeName(b));
}

absl::Status TooLarge() { return Error("integer result is too large"); }

bool FloorDivide(BigInt a, BigInt b, BigInt* quotient, BigInt* remainder) {
  // The only quotient that does not fit.
  if (b == -1) return *remainder = 0, !__builtin_sub_overflow(BigInt{0}, a, quotient);
  *quotient = a / b;
  *remainder = a % b;
  if (*remainder != 0 && (*remainder < 0) != (b < 0)) {
    --*quotient;
    *remainder += b;
  }
  return true;
}

absl::StatusOr<Value> IntegerPower(Interpreter& interpreter, BigInt base, BigInt exponent) {
  if (exponent < 0) {
    if (base == 0) return Error("0.0 cannot be raised to a negative power");
    return Value::Float(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  BigInt result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) return TooLarge();
    exponent >>= 1;
    if (exponent == 0) break;
    if (__builtin_mul_overflow(base, base, &base)) return TooLarge();
  }
  return MakeInt(interpreter.arena(), result);
}

absl::StatusOr<Value> IntegerArithmetic(Interpreter& interpreter, Operator op, const Value& left,
                                        const Value& right) {
  const BigInt a = ToBigInt(left);
  const BigInt b = ToBigInt(right);
  BigInt result = 0;
  BigInt remainder = 0;
  bool overflow = false;
  switch (op) {
    case Operator::kAdd:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case Operator::kSubtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case Operator::kMultiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case Operator::kDivide:
      if (b == 0) return Error("division by zero");
      return Value::Float(static_cast<double>(a) / static_cast<double>(b));
    case Operator::kFloorDivide:
      if (b == 0) return Error("integer division or modulo by zero");
      overflow = !FloorDivide(a, b, &result, &remainder);
      break;
    case Operator::kModulo:
      if (b == 0) return Error("integer modulo by zero");
      FloorDivide(a, b, &result, &remainder);
      result = remainder;
      break;
    default:
      return IntegerPower(interpreter, a, b);
  }
  if (overflow) return TooLarge();
  return MakeInt(interpreter.arena(), result);
}

absl::StatusOr<Value> FloatArithmetic(Operator op, double a, double b) {
  switch (op) {
    case Operator::kAdd:
      return Value::Float(a + b);
    case Operator::kSubtract:
      return Value::Float(a - b);
    case Operator::kMultiply:
      return Value::Float(a * b);
    case Operator::kDivide:
      if (b == 0) return Error("float division by zero");
      return Value::Float(a / b);
    case Operator::kFloorDivide:
    case Operator::kModulo: {
      if (b == 0) return Error("float floor division or modulo by zero");
      // As CPython's float_divmod, signs of zero included.
      double remainder = std::fmod(a, b);
      double quotient = (a - remainder) / b;
      if (remainder == 0) {
        remainder = std::copysign(0.0, b);
      } else if ((remainder < 0) != (b < 0)) {
        remainder += b;
        quotient -= 1;
      }
      if (op == Operator::kModulo) return Value::Float(remainder);
      if (quotient == 0) return Value::Float(std::copysign(0.0, a / b));
      const double floor = std::floor(quotient);
      return Value::Float(quotient - floor > 0.5 ? floor + 1 : floor);
    }
    default: {
      const double result = std::pow(a, b);
      if (std::isnan(result) && !std::isnan(a) && !std::isnan(b)) {
        return Error("negative number cannot be raised to a fractional power");
      }
      if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) return TooLarge();
      return Value::Float(result);
    }
  }
}

absl::StatusOr<Value> Repeat(Interpreter& interpreter, const Value& value, const Value& count) {
  Arena& arena = interpreter.arena();
  const BigInt wanted = std::max<BigInt>(ToBigInt(count), 0);
  const auto times =
      static_cast<size_t>(std::min<BigInt>(wanted, std::numeric_limits<int64_t>::max()));
  if (value.is_string()) {
    TextBuilder text(arena);
    text.AppendRepeated(*value.string, times);
    if (text.overflowed()) return Error("the repeated string is too long");
    return text.FinishValue();
  }
  const Sequence& s = *value.sequence;
  if (s.size != 0 && times > arena.limit_bytes() / s.size) {
    return Error("the repeated %s is too long", TypeName(value));
  }
  auto* items = arena.NewArray<Value>(s.size * times);
  if (items == nullptr) return Error("the repeated %s is too long", TypeName(value));
  for (size_t i = 0; i < times; ++i) std::copy(s.items, s.items + s.size, items + i * s.size);
  return MakeSequence(arena, items, s.size * times, s.flavor);
}

absl::StatusOr<Value> JoinSequences(Arena& arena, const Sequence& a, const Sequence& b) {
  auto* items = arena.NewArray<Value>(a.size + b.size);
  if (items == nullptr) return Error("out of memory");
  std::copy(a.items, a.items + a.size, items);
  std::copy(b.items, b.items + b.size, items + a.size);
  return MakeSequence(arena, items, a.size + b.size, a.flavor);
}

bool IsListOrTuple(const Value& v) {
  return v.is_sequence() && v.sequence->flavor <= Flavor::kTuple;
}

absl::StatusOr<bool> Contains(Interpreter& interpreter, const Value& needle, const Value& hay) {
  switch (hay.kind) {
    case Kind::kUndefined:
      return false;
    case Kind::kString:
      if (!needle.is_string()) {
        if (needle.is_undefined()) return Error("%s", UndefinedMessage(needle));
        return Error("'in <string>' requires string as left operand, not %s", TypeName(needle));
      }
      BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(hay.string->size));
      return hay.text().find(needle.text()) != std::string_view::npos;
    case Kind::kDict:
      if (!IsHashable(needle)) return Error("unhashable type: '%s'", TypeName(needle));
      BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(WorkBytes(needle)));
      return hay.dict->Find(needle) != nullptr;
    case Kind::kSequence: {
      BANYAN_ASSIGN_OR_RETURN(const absl::Span<const Value> items, interpreter.Iterate(hay));
      for (const Value& item : items) {
        BANYAN_RETURN_IF_ERROR(
            interpreter.ChargeBytes(std::min(WorkBytes(item), WorkBytes(needle))));
        if (Equal(item, needle)) return true;
      }
      return false;
    }
    default:
      return Error("argument of type '%s' is not iterable", TypeName(hay));
  }
}

absl::StatusOr<bool> Ordered(Interpreter& interpreter, Operator op, const Value& a,
                             const Value& b) {
  const bool swapped = op == Operator::kGreater || op == Operator::kGreaterEqual;
  const bool strict = op == Operator::kLess || op == Operator::kGreater;
  const Value& low = swapped ? b : a;
  const Value& high = swapped ? a : b;
  const bool comparable =
      (a.is_number() && b.is_number()) || (a.is_string() && b.is_string()) ||
      (IsListOrTuple(a) && IsListOrTuple(b) && a.sequence->flavor == b.sequence->flavor);
  if (!comparable) {
    if (a.is_undefined()) return Error("%s", UndefinedMessage(a));
    if (b.is_undefined()) return Error("%s", UndefinedMessage(b));
    return Error("'%s' not supported between instances of '%s' and '%s'", NameOf(op), TypeName(a),
                 TypeName(b));
  }
  BANYAN_ASSIGN_OR_RETURN(const bool less, Less(interpreter, low, high));
  if (strict || less) return less;
  return Equal(low, high);
}

}  // namespace

absl::StatusOr<bool> Less(Interpreter& interpreter, const Value& a, const Value& b) {
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(std::min(WorkBytes(a), WorkBytes(b)) + 1));
  if (a.is_integer() && b.is_integer()) return ToBigInt(a) < ToBigInt(b);
  if (a.is_number() && b.is_number()) return ToDouble(a) < ToDouble(b);
  // UTF-8 bytes are in the order of code points.
  if (a.is_string() && b.is_string()) return a.text() < b.text();
  if (IsListOrTuple(a) && IsListOrTuple(b)) {
    const size_t n = std::min(a.sequence->size, b.sequence->size);
    for (size_t i = 0; i < n; ++i) {
      if (Equal(a.sequence->items[i], b.sequence->items[i])) continue;
      return Less(interpreter, a.sequence->items[i], b.sequence->items[i]);
    }
    return a.sequence->size < b.sequence->size;
  }
  if (a.is_undefined()) return Error("%s", UndefinedMessage(a));
  return Error("'<' not supported between instances of '%s' and '%s'", TypeName(a), TypeName(b));
}

absl::StatusOr<Value> Arithmetic(Interpreter& interpreter, Operator op, const Value& a,
                                 const Value& b) {
  if (op == Operator::kAdd && a.is_string() && b.is_string()) {
    return Value::Str(Concat(interpreter.arena(), *a.string, *b.string));
  }
  if (a.is_integer() && b.is_integer()) return IntegerArithmetic(interpreter, op, a, b);
  if (a.is_number() && b.is_number()) return FloatArithmetic(op, ToDouble(a), ToDouble(b));
  if (op == Operator::kModulo && a.is_string()) return FormatPercent(interpreter, *a.string, b);
  if (op == Operator::kAdd && IsListOrTuple(a) && IsListOrTuple(b) &&
      a.sequence->flavor == b.sequence->flavor) {
    return JoinSequences(interpreter.arena(), *a.sequence, *b.sequence);
  }
  if (op == Operator::kMultiply) {
    if (b.is_integer() && (a.is_string() || IsListOrTuple(a))) return Repeat(interpreter, a, b);
    if (a.is_integer() && (b.is_string() || IsListOrTuple(b))) return Repeat(interpreter, b, a);
  }
  return Unsupported(op, a, b);
}

absl::StatusOr<Value> Negate(Interpreter& interpreter, const Value& value) {
  if (value.kind == Kind::kFloat) return Value::Float(-value.number);
  if (value.is_integer()) {
    BigInt result = 0;
    if (__builtin_sub_overflow(BigInt{0}, ToBigInt(value), &result)) return TooLarge();
    return MakeInt(interpreter.arena(), result);
  }
  if (value.is_undefined()) return Error("%s", UndefinedMessage(value));
  return Error("bad operand type for unary -: '%s'", TypeName(value));
}

absl::StatusOr<bool> Compare(Interpreter& interpreter, Operator op, const Value& a,
                             const Value& b) {
  switch (op) {
    case Operator::kEqual:
    case Operator::kNotEqual: {
      BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(std::min(WorkBytes(a), WorkBytes(b))));
      return Equal(a, b) == (op == Operator::kEqual);
    }
    case Operator::kIn:
      return Contains(interpreter, a, b);
    case Operator::kNotIn: {
      BANYAN_ASSIGN_OR_RETURN(const bool contains, Contains(interpreter, a, b));
      return !contains;
    }
    default:
      return Ordered(interpreter, op, a, b);
  }
}

}  // namespace banyan::jinja
