// printf-style formatting of strings (Python documentation of that name).
#include "common/base/status_macros.h"
#include "common/text/jinja/format_spec.h"
#include "common/text/jinja/operators.h"
#include "common/text/jinja/python_text.h"

namespace banyan::jinja {
namespace {

class PercentFormatter {
 public:
  PercentFormatter(Interpreter& interpreter, const String& format, const Value& arguments)
      : interpreter_(interpreter),
        format_(format),
        text_(format.view()),
        arguments_(arguments),
        is_tuple_(arguments.is_sequence() && arguments.sequence->flavor == Flavor::kTuple),
        out_(interpreter.arena()) {}

  absl::StatusOr<Value> Run() {
    size_t at = 0;
    while (!out_.overflowed()) {
      const size_t percent = text_.find('%', at);
      if (percent == std::string_view::npos) break;
      out_.AppendSlice(format_, at, percent);
      at = percent + 1;
      BANYAN_RETURN_IF_ERROR(Convert(&at));
    }
    out_.AppendSlice(format_, at, text_.size());
    const size_t given = is_tuple_ ? arguments_.sequence->size : 1;
    const bool may_be_unused = arguments_.is_dict() || IsPlainList() || arguments_.is_undefined();
    if (num_used_ < given && !used_mapping_ && !may_be_unused) {
      return Error("not all arguments converted during string formatting");
    }
    return out_.FinishValue();
  }

 private:
  bool IsPlainList() const { return arguments_.is_sequence() && !is_tuple_; }

  absl::StatusOr<Value> NextArgument() {
    if (!is_tuple_) {
      if (num_used_++ > 0) return Error("not enough arguments for format string");
      return arguments_;
    }
    if (num_used_ >= arguments_.sequence->size) {
      return Error("not enough arguments for format string");
    }
    return arguments_.sequence->items[num_used_++];
  }

  char At(size_t at) const { return at < text_.size() ? text_[at] : '\0'; }

  absl::StatusOr<Value> MappedArgument(size_t* at) {
    const size_t end = text_.find(')', *at);
    if (end == std::string_view::npos) return Error("incomplete format key");
    if (!arguments_.is_dict()) return Error("format requires a mapping");
    const std::string_view key = text_.substr(*at + 1, end - *at - 1);
    const Value* value = arguments_.dict->Find(key);
    if (value == nullptr) return Error("no value for the format key '%s'", key);
    used_mapping_ = true;
    *at = end + 1;
    return *value;
  }

  absl::Status ReadFlags(size_t* at, FormatSpec* spec) {
    for (;; ++*at) {
      switch (At(*at)) {
        case '-':
          spec->align = '<';
          break;
        case '0':
          if (spec->align == 0) {
            spec->align = '=';
            spec->fill.assign(1, '0');
          }
          break;
        case '+':
        case ' ':
          if (spec->sign != '+') spec->sign = At(*at);
          break;
        case '#':
          spec->alternate = true;
          break;
        default:
          return absl::OkStatus();
      }
    }
  }

  absl::StatusOr<int64_t> ReadWidth(size_t* at) {
    if (At(*at) != '*') return ReadCount(text_, at).value_or(0);
    ++*at;
    BANYAN_ASSIGN_OR_RETURN(const Value width, NextArgument());
    if (width.kind != Kind::kInt) return Error("* wants int");
    return width.integer;
  }

  absl::Status Convert(size_t* at) {
    std::optional<Value> value;
    if (At(*at) == '(') {
      BANYAN_ASSIGN_OR_RETURN(value, MappedArgument(at));
    }
    FormatSpec spec;
    spec.is_printf = true;
    BANYAN_RETURN_IF_ERROR(ReadFlags(at, &spec));
    BANYAN_ASSIGN_OR_RETURN(spec.width, ReadWidth(at));
    if (At(*at) == '.') {
      ++*at;
      BANYAN_ASSIGN_OR_RETURN(spec.precision, ReadWidth(at));
    }
    while (At(*at) == 'l' || At(*at) == 'h' || At(*at) == 'L') ++*at;
    if (*at >= text_.size()) return Error("incomplete format");
    const char type = text_[(*at)++];
    if (type == '%') {
      out_.Append('%');
      return absl::OkStatus();
    }
    if (!value) {
      BANYAN_ASSIGN_OR_RETURN(value, NextArgument());
    }
    return Show(type, *value, spec);
  }

  absl::Status Show(char type, Value value, FormatSpec spec) {
    if (spec.align == 0) spec.align = '>';
    Arena& arena = interpreter_.arena();
    switch (type) {
      case 's':
      case 'r':
      case 'a': {
        if (spec.align == '=') {
          spec.align = '>';
          spec.fill.assign(1, ' ');
        }
        TextBuilder text(arena);
        if (type == 's') {
          AppendStr(value, &text);
        } else {
          AppendRepr(value, &text);
        }
        spec.type = 's';
        return AppendFormatted(interpreter_, spec, text.FinishValue(), &out_);
      }
      case 'c':
        if (value.is_string()) {
          spec.type = 's';
          return AppendFormatted(interpreter_, spec, value, &out_);
        }
        break;
      case 'd':
      case 'i':
      case 'u':
        if (!value.is_number()) {
          return Error("%%%c format: a real number is required, not %s", type, TypeName(value));
        }
        if (value.kind == Kind::kFloat) {
          if (!(value.number > -1e38 && value.number < 1e38)) return Error("number is too large");
          value = MakeInt(arena, static_cast<BigInt>(value.number));
        }
        spec.type = 'd';
        return AppendFormatted(interpreter_, spec, value, &out_);
      default:
        break;
    }
    constexpr std::string_view kTypes = "xXoceEfFgG";
    if (kTypes.find(type) == std::string_view::npos) {
      return Error("unsupported format character '%c'", type);
    }
    const bool wants_integer = type == 'x' || type == 'X' || type == 'o' || type == 'c';
    if (!value.is_number() || (wants_integer && !value.is_integer())) {
      return Error("%%%c format: a number is required, not %s", type, TypeName(value));
    }
    spec.type = type;
    return AppendFormatted(interpreter_, spec, value, &out_);
  }

  Interpreter& interpreter_;
  const String& format_;
  const std::string_view text_;
  const Value& arguments_;
  const bool is_tuple_;
  TextBuilder out_;
  size_t num_used_ = 0;
  bool used_mapping_ = false;
};

}  // namespace

absl::StatusOr<Value> FormatPercent(Interpreter& interpreter, const String& format,
                                    const Value& arguments) {
  return PercentFormatter(interpreter, format, arguments).Run();
}

}  // namespace banyan::jinja
