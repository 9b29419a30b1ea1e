#include "common/text/jinja/python_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "absl/strings/str_format.h"
#include "common/text/jinja/unicode.h"

namespace banyan::jinja {
namespace {

std::string EscapedCodePoint(char32_t c) {
  switch (c) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  if (c >= kInvalidBase) return absl::StrFormat("\\x%02x", static_cast<unsigned>(c - kInvalidBase));
  const auto value = static_cast<unsigned>(c);
  if (c < 0x100) return absl::StrFormat("\\x%02x", value);
  if (c < 0x10000) return absl::StrFormat("\\u%04x", value);
  return absl::StrFormat("\\U%08x", value);
}

void AppendStringRepr(const String& s, TextBuilder* out) {
  const std::string_view text = s.view();
  const bool double_quoted =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = double_quoted ? '"' : '\'';
  out->Append(quote);
  size_t plain_begin = 0;
  for (size_t at = 0; at < text.size() && !out->overflowed();) {
    const CodePoint c = DecodeAt(text, at);
    const bool escaped = c.value == '\\' || c.value == static_cast<unsigned char>(quote);
    if (!escaped && IsPrintable(c.value)) {
      at += c.size;
      continue;
    }
    out->AppendSlice(s, plain_begin, at);
    const Origin origin = IsUserByte(s, at) ? Origin::kUser : Origin::kTemplate;
    if (escaped) {
      out->Append('\\', origin);
      out->Append(text[at], origin);
    } else {
      out->Append(EscapedCodePoint(c.value), origin);
    }
    at += c.size;
    plain_begin = at;
  }
  out->AppendSlice(s, plain_begin, s.size);
  out->Append(quote);
}

void AppendSequenceRepr(const Sequence& s, TextBuilder* out) {
  const bool is_tuple = s.flavor == Flavor::kTuple;
  out->Append(is_tuple ? '(' : '[');
  for (size_t i = 0; i < s.size && !out->overflowed(); ++i) {
    if (i > 0) out->Append(", ");
    AppendRepr(s.items[i], out);
  }
  if (is_tuple && s.size == 1) out->Append(',');
  out->Append(is_tuple ? ')' : ']');
}

void AppendRangeRepr(const Sequence& s, TextBuilder* out) {
  const int64_t begin = s.size > 0 ? s.items[0].integer : 0;
  const int64_t step = s.size > 1 ? s.items[1].integer - begin : 1;
  const int64_t end = begin + static_cast<int64_t>(s.size) * step;
  if (step == 1) {
    out->Append(absl::StrFormat("range(%d, %d)", begin, end));
  } else {
    out->Append(absl::StrFormat("range(%d, %d, %d)", begin, end, step));
  }
}

void AppendDictRepr(const Dict& d, TextBuilder* out) {
  out->Append('{');
  for (size_t i = 0; i < d.size && !out->overflowed(); ++i) {
    if (i > 0) out->Append(", ");
    AppendRepr(d.entries[i].key, out);
    out->Append(": ");
    AppendRepr(d.entries[i].value, out);
  }
  out->Append('}');
}

void AppendObjectRepr(const Value& value, TextBuilder* out) {
  if (value.is_sequence()) {
    const Sequence& s = *value.sequence;
    switch (s.flavor) {
      case Flavor::kList:
      case Flavor::kTuple:
        AppendSequenceRepr(s, out);
        return;
      case Flavor::kRange:
        AppendRangeRepr(s, out);
        return;
      case Flavor::kIterator:
        out->Append(absl::StrFormat("<%s object>", TypeName(value)));
        return;
      default: {
        out->Append(absl::StrFormat("%s(", TypeName(value)));
        Sequence list = s;
        list.flavor = Flavor::kList;
        AppendSequenceRepr(list, out);
        out->Append(')');
        return;
      }
    }
  }
  if (value.kind == Kind::kFunction) {
    out->Append(absl::StrFormat("<function %s>", value.function->name));
  } else {
    out->Append(absl::StrFormat("<%s>", TypeName(value)));
  }
}

}  // namespace

std::string IntegerText(BigInt value) {
  const bool negative = value < 0;
  // The magnitude as unsigned: the smallest value has no positive twin.
  auto rest = static_cast<unsigned __int128>(value);
  if (negative) rest = ~rest + 1;
  std::string digits;
  do {
    digits.push_back(static_cast<char>('0' + static_cast<int>(rest % 10)));
    rest /= 10;
  } while (rest != 0);
  if (negative) digits.push_back('-');
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::string FloatRepr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[40];
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const bool negative = text[0] == '-';
  if (negative) text.remove_prefix(1);
  const size_t e = text.find('e');
  std::string digits(1, text[0]);
  if (e > 2) digits.append(text.substr(2, e - 2));
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), text.data() + text.size(),
                  exponent);
  std::string result = negative ? "-" : "";
  const auto num_digits = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    result += digits.substr(0, 1);
    if (num_digits > 1) result += "." + digits.substr(1);
    return result + absl::StrFormat("e%c%02d", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) {
    return result + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  }
  if (num_digits <= exponent + 1) {
    return result + digits + std::string(static_cast<size_t>(exponent + 1 - num_digits), '0') +
           ".0";
  }
  const auto point = static_cast<size_t>(exponent + 1);
  return result + digits.substr(0, point) + "." + digits.substr(point);
}

void AppendRepr(const Value& value, TextBuilder* out) {
  switch (value.kind) {
    case Kind::kUndefined:
      out->Append("Undefined");
      return;
    case Kind::kNone:
      out->Append("None");
      return;
    case Kind::kBool:
      out->Append(value.boolean ? "True" : "False");
      return;
    case Kind::kInt:
    case Kind::kBigInt:
      out->Append(IntegerText(ToBigInt(value)));
      return;
    case Kind::kFloat:
      out->Append(FloatRepr(value.number));
      return;
    case Kind::kString:
      AppendStringRepr(*value.string, out);
      return;
    case Kind::kDict:
      AppendDictRepr(*value.dict, out);
      return;
    default:
      AppendObjectRepr(value, out);
  }
}

void AppendStr(const Value& value, TextBuilder* out) {
  if (value.is_string()) {
    out->Append(*value.string);
  } else if (!value.is_undefined()) {
    AppendRepr(value, out);
  }
}

const String* ToString(Arena& arena, const Value& value) {
  if (value.is_string()) return value.string;
  TextBuilder text(arena);
  AppendStr(value, &text);
  return text.Finish();
}

}  // namespace banyan::jinja
