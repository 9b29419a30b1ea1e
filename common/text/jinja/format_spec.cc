#include "common/text/jinja/format_spec.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/text/jinja/python_text.h"
#include "common/text/jinja/unicode.h"

namespace banyan::jinja {
namespace {

constexpr int64_t kPrecisionMax = 1000;

std::string IntegerInBase(BigInt magnitude, unsigned base, bool upper) {
  auto rest = static_cast<unsigned __int128>(magnitude);
  std::string digits;
  do {
    const auto digit = static_cast<unsigned>(rest % base);
    digits.push_back((upper ? "0123456789ABCDEF" : "0123456789abcdef")[digit]);
    rest /= base;
  } while (rest != 0);
  std::reverse(digits.begin(), digits.end());
  return digits;
}

void Group(std::string* digits, char separator) {
  const size_t end = std::min(digits->find_first_not_of("0123456789"), digits->size());
  for (size_t at = end; at > 3; at -= 3) digits->insert(at - 3, 1, separator);
}

// Sign, prefix and digits, padded to the width.
void AppendNumber(const FormatSpec& spec, bool negative, std::string prefix, std::string digits,
                  TextBuilder* out) {
  if (spec.grouping != 0) Group(&digits, spec.grouping);
  std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  sign += prefix;
  const auto length = static_cast<int64_t>(sign.size() + digits.size());
  const auto missing = static_cast<size_t>(std::max<int64_t>(spec.width - length, 0));
  const char align = spec.align == 0 ? '>' : spec.align;
  const size_t left = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  const String fill{.data = spec.fill.data(), .size = spec.fill.size()};
  if (align == '=') out->Append(sign);
  out->AppendRepeated(fill, left);
  if (align != '=') out->Append(sign);
  out->Append(digits);
  out->AppendRepeated(fill, missing - left);
}

absl::Status AppendInteger(FormatSpec spec, BigInt value, TextBuilder* out) {
  const bool negative = value < 0;
  if (negative && __builtin_sub_overflow(BigInt{0}, value, &value)) {
    return Error("integer is too large to format");
  }
  switch (spec.type) {
    case 'x':
    case 'X': {
      const bool upper = spec.type == 'X';
      AppendNumber(spec, negative, spec.alternate ? (upper ? "0X" : "0x") : "",
                   IntegerInBase(value, 16, upper), out);
      return absl::OkStatus();
    }
    case 'o':
      AppendNumber(spec, negative, spec.alternate ? "0o" : "", IntegerInBase(value, 8, false), out);
      return absl::OkStatus();
    case 'b':
      AppendNumber(spec, negative, spec.alternate ? "0b" : "", IntegerInBase(value, 2, false), out);
      return absl::OkStatus();
    case 'c': {
      if (negative || value >= kInvalidBase) return Error("%%c arg not in range(0x110000)");
      std::string character;
      AppendUtf8(static_cast<char32_t>(value), &character);
      out->Append(character);
      return absl::OkStatus();
    }
    default:
      AppendNumber(spec, negative, "", IntegerInBase(value, 10, false), out);
      return absl::OkStatus();
  }
}

absl::Status AppendFloat(const FormatSpec& spec, double value, TextBuilder* out) {
  const bool negative = std::signbit(value) && !std::isnan(value);
  const double magnitude = std::abs(value);
  const int precision = static_cast<int>(std::min(spec.precision.value_or(6), kPrecisionMax));
  const bool upper = spec.type == 'F' || spec.type == 'E' || spec.type == 'G';
  std::string digits;
  if (!std::isfinite(value)) {
    digits = std::isnan(value) ? "nan" : "inf";
    if (upper) digits = std::isnan(value) ? "NAN" : "INF";
  } else if (spec.type == 0) {
    digits = spec.precision ? absl::StrFormat("%.*g", precision, magnitude) : FloatRepr(magnitude);
    if (digits.find_first_of(".e") == std::string::npos) digits += ".0";
  } else if (spec.type == '%') {
    digits = absl::StrFormat("%.*f%%", precision, magnitude * 100);
  } else if (spec.type == 'e' || spec.type == 'E') {
    digits = upper ? absl::StrFormat("%.*E", precision, magnitude)
                   : absl::StrFormat("%.*e", precision, magnitude);
  } else if (spec.type == 'g' || spec.type == 'G' || spec.type == 'n') {
    digits = upper ? absl::StrFormat("%.*G", precision, magnitude)
                   : absl::StrFormat("%.*g", precision, magnitude);
  } else {
    digits = absl::StrFormat("%.*f", precision, magnitude);
  }
  AppendNumber(spec, negative, "", std::move(digits), out);
  return absl::OkStatus();
}

absl::Status AppendText(Interpreter& interpreter, const FormatSpec& spec, const String& text,
                        TextBuilder* out) {
  const String* shown = &text;
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(text.size));
  if (spec.precision) {
    shown = Slice(interpreter.arena(), text, 0,
                  OffsetOfCharacter(text.view(), static_cast<size_t>(*spec.precision)));
  }
  const auto length = static_cast<int64_t>(CountCharacters(shown->view()));
  const auto missing = static_cast<size_t>(std::max<int64_t>(spec.width - length, 0));
  const char align = spec.align == 0 ? '<' : spec.align;
  const size_t left = align == '>' ? missing : align == '^' ? missing / 2 : 0;
  const String fill{.data = spec.fill.data(), .size = spec.fill.size()};
  out->AppendRepeated(fill, left);
  out->Append(*shown);
  out->AppendRepeated(fill, missing - left);
  return absl::OkStatus();
}

}  // namespace

std::optional<int64_t> ReadCount(std::string_view text, size_t* at) {
  const size_t begin = *at;
  int64_t value = 0;
  while (*at < text.size() && text[*at] >= '0' && text[*at] <= '9') {
    value = std::min<int64_t>(value * 10 + (text[*at] - '0'), int64_t{1} << 48);
    ++*at;
  }
  if (*at == begin) return std::nullopt;
  return value;
}

absl::Status AppendFormatted(Interpreter& interpreter, const FormatSpec& spec, const Value& value,
                             TextBuilder* out) {
  constexpr std::string_view kFloatTypes = "eEfFgG%";
  constexpr std::string_view kIntegerTypes = "bcdoxXn";
  const auto is_one_of = [&](std::string_view types) {
    return spec.type != 0 && types.find(spec.type) != std::string_view::npos;
  };
  if (value.is_number() && !spec.is_empty) {
    const bool is_float = value.kind == Kind::kFloat;
    if (is_one_of(kFloatTypes) || (is_float && (spec.type == 0 || spec.type == 'n'))) {
      return AppendFloat(spec, ToDouble(value), out);
    }
    if (!is_float && (spec.type == 0 || is_one_of(kIntegerTypes))) {
      if (spec.precision && !spec.is_printf) {
        return Error("precision not allowed in integer format specifier");
      }
      return AppendInteger(spec, ToBigInt(value), out);
    }
  } else if (value.is_string() || spec.is_empty) {
    if (spec.type == 0 || spec.type == 's') {
      return AppendText(interpreter, spec, *ToString(interpreter.arena(), value), out);
    }
  } else {
    return Error("unsupported format string passed to %s", TypeName(value));
  }
  return Error("unknown format code '%c' for object of type '%s'", spec.type, TypeName(value));
}

}  // namespace banyan::jinja
