// Filters on any value: defaults, conversions, numbers, JSON.
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "common/base/status_macros.h"
#include "common/text/jinja/builtin_entries.h"
#include "common/text/jinja/interpreter.h"
#include "common/text/jinja/operators.h"
#include "common/text/jinja/python_text.h"
#include "common/text/jinja/unicode.h"

namespace banyan::jinja {
namespace {

using Result = absl::StatusOr<Value>;

Result Default(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  const bool also_false = BoolArgument(args, 1, "boolean", false);
  if (!self.is_undefined() && (!also_false || IsTrue(self))) return self;
  const Value* fallback = args.Find(0, "default_value");
  return fallback == nullptr ? TemplateString(interpreter.arena(), "") : *fallback;
}

Result ToStr(Interpreter& interpreter, const Value& self, const CallArgs&) {
  return Value::Str(ToString(interpreter.arena(), self));
}

Result Same(Interpreter&, const Value& self, const CallArgs&) { return self; }

Result Length(Interpreter& interpreter, const Value& self, const CallArgs&) {
  const auto integer = [](size_t n) { return Value::Int(static_cast<int64_t>(n)); };
  switch (self.kind) {
    case Kind::kUndefined:
      return Value::Int(0);
    case Kind::kString:
      BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(self.string->size));
      return integer(CountCharacters(self.text()));
    case Kind::kDict:
      return integer(self.dict->size);
    case Kind::kSequence:
      if (self.sequence->flavor != Flavor::kIterator) return integer(self.sequence->size);
      break;
    default:
      break;
  }
  return Error("object of type '%s' has no len()", TypeName(self));
}

std::string_view Stripped(std::string_view text) {
  size_t begin = 0;
  size_t end = text.size();
  while (begin < end && IsPythonSpace(DecodeAt(text, begin).value)) {
    begin += DecodeAt(text, begin).size;
  }
  while (end > begin && IsPythonSpace(DecodeAt(text, PreviousCharacter(text, end)).value)) {
    end = PreviousCharacter(text, end);
  }
  return text.substr(begin, end - begin);
}

// int(text, base); nullopt if it is none, or too large for us.
std::optional<BigInt> ParseInteger(std::string_view text, int base) {
  text = Stripped(text);
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.size() > 2 && text[0] == '0') {
    const char prefix = static_cast<char>(text[1] | 0x20);
    const int prefix_base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 0;
    if (prefix_base == base) text.remove_prefix(2);
  }
  BigInt value = 0;
  bool after_digit = false;
  for (const char c : text) {
    if (c == '_' && after_digit) {
      after_digit = false;
      continue;
    }
    const char lower = static_cast<char>(c | 0x20);
    const int digit = c >= '0' && c <= '9'           ? c - '0'
                      : lower >= 'a' && lower <= 'z' ? lower - 'a' + 10
                                                     : 99;
    if (digit >= base || __builtin_mul_overflow(value, static_cast<BigInt>(base), &value) ||
        __builtin_add_overflow(value, static_cast<BigInt>(digit), &value)) {
      return std::nullopt;
    }
    after_digit = true;
  }
  if (!after_digit) return std::nullopt;
  return negative ? -value : value;
}

std::optional<double> ParseFloat(std::string_view text) {
  text = Stripped(text);
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || end != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    return text[0] == '-' ? -std::numeric_limits<double>::infinity()
                          : std::numeric_limits<double>::infinity();
  }
  if (error != std::errc()) return std::nullopt;
  return value;
}

// The integer part; nullopt for nan, infinities and what is too large.
std::optional<BigInt> Truncated(double value) {
  if (!(std::abs(value) < 1.7e38)) return std::nullopt;
  return static_cast<BigInt>(value);
}

Result ToInt(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  const Value* fallback = args.Find(0, "default");
  BANYAN_ASSIGN_OR_RETURN(const int64_t base, IntegerArgument(args, 1, "base", 10));
  if (base < 2 || base > 36) return Error("int() base must be from 2 to 36");
  std::optional<BigInt> result;
  if (self.is_integer()) {
    result = ToBigInt(self);
  } else if (self.kind == Kind::kFloat) {
    result = Truncated(self.number);
  } else if (self.is_string()) {
    result = ParseInteger(self.text(), static_cast<int>(base));
    if (!result) {
      if (const std::optional<double> number = ParseFloat(self.text())) {
        result = Truncated(*number);
      }
    }
  } else if (self.is_undefined()) {
    return Error("%s", UndefinedMessage(self));
  }
  if (result) return MakeInt(interpreter.arena(), *result);
  return fallback == nullptr ? Value::Int(0) : *fallback;
}

Result ToFloat(Interpreter&, const Value& self, const CallArgs& args) {
  if (self.is_number()) return Value::Float(ToDouble(self));
  if (self.is_undefined()) return Error("%s", UndefinedMessage(self));
  if (self.is_string()) {
    if (const std::optional<double> value = ParseFloat(self.text())) return Value::Float(*value);
  }
  const Value* fallback = args.Find(0, "default");
  return fallback == nullptr ? Value::Float(0) : *fallback;
}

Result Abs(Interpreter& interpreter, const Value& self, const CallArgs&) {
  if (self.kind == Kind::kFloat) return Value::Float(std::abs(self.number));
  if (self.is_integer()) {
    return ToBigInt(self) < 0 ? Negate(interpreter, self)
                              : MakeInt(interpreter.arena(), ToBigInt(self));
  }
  if (self.is_undefined()) return Error("%s", UndefinedMessage(self));
  return Error("bad operand type for abs(): '%s'", TypeName(self));
}

// Correctly rounded in decimal, half to even only where the value lies exactly between: round().
double RoundCommon(double value, int digits) {
  if (!std::isfinite(value) || digits > 300) return value;
  if (digits < 0) {
    const double scale = std::pow(10.0, -digits);
    return std::isfinite(scale) ? std::nearbyint(value / scale) * scale : 0.0;
  }
  const std::string text = absl::StrFormat("%.*f", digits, value);
  double result = value;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

// round() of an integer: to tens, hundreds and so on, half to even.
Result RoundInteger(Interpreter& interpreter, BigInt value, int digits) {
  constexpr int kDigitsOfLargest = 38;
  if (digits < -kDigitsOfLargest) return Value::Int(0);
  BigInt unit = 1;
  for (; digits < 0; ++digits) unit *= 10;
  BigInt rest = value % unit;
  BigInt rounded = value - rest;
  if (rest < 0) rest = -rest;
  const bool up = rest > unit - rest || (rest == unit - rest && (rounded / unit) % 2 != 0);
  if (up && __builtin_add_overflow(rounded, value < 0 ? -unit : unit, &rounded)) {
    return Error("integer result is too large");
  }
  return MakeInt(interpreter.arena(), rounded);
}

Result Round(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  if (!self.is_number()) {
    if (self.is_undefined()) return Error("%s", UndefinedMessage(self));
    return Error("type %s has no rounding", TypeName(self));
  }
  BANYAN_ASSIGN_OR_RETURN(const int64_t precision, IntegerArgument(args, 0, "precision", 0));
  const int digits = static_cast<int>(std::clamp<int64_t>(precision, -400, 400));
  const Value* method = args.Find(1, "method");
  const std::string_view how = method == nullptr     ? "common"
                               : method->is_string() ? method->text()
                                                     : "";
  if (how == "common") {
    if (self.is_integer()) return RoundInteger(interpreter, ToBigInt(self), digits);
    return Value::Float(RoundCommon(self.number, digits));
  }
  if (how != "ceil" && how != "floor") return Error("method must be common, ceil or floor");
  const double scale = std::pow(10.0, digits);
  const double scaled = ToDouble(self) * scale;
  return Value::Float((how == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

// tojson as transformers defines it: json.dumps with these parameters.
Result ToJson(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  JsonStyle style;
  style.ensure_ascii = BoolArgument(args, 0, "ensure_ascii", false);
  style.sort_keys = BoolArgument(args, 3, "sort_keys", false);
  constexpr int64_t kIndentMax = 64;
  if (const Value* indent = args.Find(1, "indent"); indent != nullptr && !indent->is_none()) {
    if (indent->is_string()) {
      style.indent = std::string(indent->text().substr(0, kIndentMax));
    } else {
      BANYAN_ASSIGN_OR_RETURN(const int64_t width, IntegerArgument(args, 1, "indent", 0));
      style.indent =
          std::string(static_cast<size_t>(std::clamp<int64_t>(width, 0, kIndentMax)), ' ');
    }
    style.item_separator.assign(1, ',');
  }
  const Value* separators = args.Find(2, "separators");
  if (separators != nullptr && !separators->is_none()) {
    BANYAN_ASSIGN_OR_RETURN(const absl::Span<const Value> parts, interpreter.Iterate(*separators));
    if (parts.size() != 2 || !parts[0].is_string() || !parts[1].is_string()) {
      return Error("separators must be two strings");
    }
    style.item_separator = std::string(parts[0].text());
    style.key_separator = std::string(parts[1].text());
  }
  TextBuilder json(interpreter.arena());
  BANYAN_RETURN_IF_ERROR(AppendJson(self, style, &json));
  return json.FinishValue();
}

Result Attr(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const String* name, StringArgument(args, 0, "name", "attr"));
  // Unlike `.`, it never looks into a mapping.
  if (self.is_dict() && !interpreter.GetAttribute(self, name->view()).ok()) return Value();
  BANYAN_ASSIGN_OR_RETURN(const Value value, interpreter.GetAttribute(self, name->view()));
  if (self.is_dict() && value.kind != Kind::kFunction) {
    return Value::Of(interpreter.arena().New<Undefined>(Undefined::Reason::kAttribute,
                                                        TypeName(self), name->view()));
  }
  return value;
}

}  // namespace

absl::Span<const BuiltinEntry> ValueFilters() {
  static constexpr BuiltinEntry kEntries[] = {
      {"default", &Default}, {"d", &Default},    {"string", &ToStr},  {"safe", &Same},
      {"length", &Length},   {"count", &Length}, {"int", &ToInt},     {"float", &ToFloat},
      {"abs", &Abs},         {"round", &Round},  {"tojson", &ToJson}, {"attr", &Attr},
  };
  return kEntries;
}

}  // namespace banyan::jinja
