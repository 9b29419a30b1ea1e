#include "common/text/jinja/lexer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/text/jinja/string_literal.h"
#include "common/text/jinja/unicode.h"
#include "common/text/jinja/value.h"

namespace banyan::jinja {
namespace {

size_t SkipSpaces(std::string_view source, size_t at) {
  while (at < source.size()) {
    const CodePoint c = DecodeAt(source, at);
    if (!IsPythonSpace(c.value)) break;
    at += c.size;
  }
  return at;
}

size_t TrimSpacesBefore(std::string_view source, size_t begin, size_t end) {
  while (end > begin) {
    const size_t previous = PreviousCharacter(source, end);
    if (!IsPythonSpace(DecodeAt(source, previous).value)) break;
    end = previous;
  }
  return end;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  absl::StatusOr<std::vector<Token>> Run() {
    while (at_ < source_.size()) BANYAN_RETURN_IF_ERROR(LexText());
    Add(TokenType::kEnd, "");
    return std::move(tokens_);
  }

 private:
  absl::Status Fail(std::string_view cause) const { return Error("line %d: %s", line_, cause); }

  void Add(TokenType type, std::string_view text) {
    tokens_.push_back({type, line_, std::string(text)});
  }

  void MoveTo(size_t offset) {
    line_ += static_cast<int32_t>(std::count(source_.data() + at_, source_.data() + offset, '\n'));
    at_ = offset;
  }

  bool LooksAt(std::string_view what, size_t offset) const {
    return source_.substr(std::min(offset, source_.size())).substr(0, what.size()) == what;
  }

  // The next of `{{`, `{%`, `{#`; size() if there is none.
  size_t FindTag(size_t from) const {
    for (size_t at = source_.find('{', from); at != std::string_view::npos;
         at = source_.find('{', at + 1)) {
      if (at + 1 < source_.size() &&
          (source_[at + 1] == '{' || source_[at + 1] == '%' || source_[at + 1] == '#')) {
        return at;
      }
    }
    return source_.size();
  }

  char SignAt(size_t offset) const {
    if (offset < source_.size() && (source_[offset] == '-' || source_[offset] == '+')) {
      return source_[offset];
    }
    return 0;
  }

  // Where the text [begin, tag) ends once the tag's sign and lstrip_blocks took their share.
  size_t TextEnd(size_t begin, size_t tag, char sign, bool is_output) const {
    if (sign == '-') return TrimSpacesBefore(source_, begin, tag);
    if (sign == '+' || is_output) return tag;
    const size_t newline = source_.substr(begin, tag - begin).rfind('\n');
    size_t line_begin = begin;
    if (newline != std::string_view::npos) {
      line_begin = begin + newline + 1;
    } else if (!at_line_start_) {
      return tag;
    }
    return TrimSpacesBefore(source_, line_begin, tag) == line_begin ? line_begin : tag;
  }

  // Remembers whether what was just read ended a line, and goes there.
  void FinishTag(size_t end) {
    MoveTo(end);
    at_line_start_ = end > 0 && source_[end - 1] == '\n';
  }

  // The end of a closing tag (`%}` or `#}`) at `offset`, its newline or white space included.
  // npos if there is none.
  size_t ClosingTagEnd(size_t offset, std::string_view close, bool trims_newline) const {
    const char sign = SignAt(offset);
    const size_t mark = offset + (sign != 0 ? 1 : 0);
    if (!LooksAt(close, mark)) return std::string_view::npos;
    size_t end = mark + close.size();
    if (sign == '-') return SkipSpaces(source_, end);
    if (sign == '+') return trims_newline ? end : std::string_view::npos;
    if (trims_newline && LooksAt("\n", end)) ++end;
    return end;
  }

  absl::Status LexText() {
    const size_t tag = FindTag(at_);
    const bool is_output = LooksAt("{{", tag);
    const char sign = SignAt(tag + 2);
    const size_t end = tag == source_.size() ? tag : TextEnd(at_, tag, sign, is_output);
    if (end > at_) Add(TokenType::kText, source_.substr(at_, end - at_));
    MoveTo(tag);
    if (tag == source_.size()) return absl::OkStatus();
    const size_t inside = tag + 2 + (sign != 0 ? 1 : 0);
    if (LooksAt("{#", tag)) return LexComment(inside);
    if (!is_output) {
      const size_t raw_end = TagNamedEnd(tag, "raw", false);
      if (raw_end != std::string_view::npos) return LexRaw(raw_end);
    }
    Add(is_output ? TokenType::kOutputBegin : TokenType::kBlockBegin, "");
    MoveTo(inside);
    return LexTag(is_output);
  }

  absl::Status LexComment(size_t inside) {
    for (size_t at = inside; at < source_.size(); ++at) {
      at = source_.find('#', at);
      if (at == std::string_view::npos) break;
      // The sign of a closing tag stands before it.
      const size_t mark = at > inside && SignAt(at - 1) != 0 ? at - 1 : at;
      const size_t end = ClosingTagEnd(mark, "#}", true);
      if (end == std::string_view::npos) continue;
      FinishTag(end);
      return absl::OkStatus();
    }
    return Fail("missing end of comment tag '#}'");
  }

  // The end of `{% NAME %}` that starts at `tag`; npos if something else stands there.
  size_t TagNamedEnd(size_t tag, std::string_view name, bool trims_newline) const {
    size_t at = SkipSpaces(source_, tag + 2 + (SignAt(tag + 2) != 0 ? 1 : 0));
    if (!LooksAt(name, at)) return std::string_view::npos;
    at = SkipSpaces(source_, at + name.size());
    return ClosingTagEnd(at, "%}", trims_newline);
  }

  absl::Status LexRaw(size_t begin) {
    FinishTag(begin);
    for (size_t tag = source_.find("{%", begin); tag != std::string_view::npos;
         tag = source_.find("{%", tag + 2)) {
      const size_t end = TagNamedEnd(tag, "endraw", true);
      if (end == std::string_view::npos) continue;
      const size_t text_end = TextEnd(begin, tag, SignAt(tag + 2), false);
      if (text_end > begin) Add(TokenType::kText, source_.substr(begin, text_end - begin));
      FinishTag(end);
      return absl::OkStatus();
    }
    return Fail("missing end of raw directive");
  }

  absl::Status LexTag(bool is_output) {
    const std::string_view close = is_output ? "}}" : "%}";
    std::string open_brackets;
    while (true) {
      MoveTo(SkipSpaces(source_, at_));
      if (at_ >= source_.size()) {
        return Fail(is_output ? "unexpected end of template, expected '}}'"
                              : "unexpected end of template, expected '%}'");
      }
      if (open_brackets.empty()) {
        const size_t end = ClosingTagEnd(at_, close, !is_output);
        if (end != std::string_view::npos) {
          Add(is_output ? TokenType::kOutputEnd : TokenType::kBlockEnd, "");
          FinishTag(end);
          return absl::OkStatus();
        }
      }
      BANYAN_RETURN_IF_ERROR(LexToken(&open_brackets));
    }
  }

  absl::Status LexToken(std::string* open_brackets) {
    const char c = source_[at_];
    if (c == '"' || c == '\'') return LexString(c);
    if (c >= '0' && c <= '9') return LexNumber();
    if (IsIdentifierStart(DecodeAt(source_, at_).value)) {
      size_t end = at_;
      while (end < source_.size() && IsIdentifierPart(DecodeAt(source_, end).value)) {
        end += DecodeAt(source_, end).size;
      }
      Add(TokenType::kName, source_.substr(at_, end - at_));
      MoveTo(end);
      return absl::OkStatus();
    }
    return LexOperator(open_brackets);
  }

  absl::Status LexString(char quote) {
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) return Fail("unterminated string");
    Add(TokenType::kString, DecodeStringLiteral(source_.substr(at_ + 1, end - at_ - 1)));
    MoveTo(end + 1);
    return absl::OkStatus();
  }

  // Digits with single `_` between them, from `at`.
  size_t SkipDigits(size_t at, bool hexadecimal) const {
    const auto is_digit = [&](size_t i) {
      if (i >= source_.size()) return false;
      const char c = source_[i];
      if (c >= '0' && c <= '9') return true;
      return hexadecimal && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
    };
    while (is_digit(at) || (LooksAt("_", at) && is_digit(at + 1))) ++at;
    return at;
  }

  absl::Status LexNumber() {
    TokenType type = TokenType::kInteger;
    size_t end = at_;
    const char base = at_ + 1 < source_.size() && source_[at_] == '0'
                          ? static_cast<char>(source_[at_ + 1] | 0x20)
                          : '\0';
    if (base == 'x' || base == 'o' || base == 'b') {
      end = SkipDigits(at_ + 2, base == 'x');
    } else {
      end = SkipDigits(at_, false);
      const size_t fraction = LooksAt(".", end) ? SkipDigits(end + 1, false) : end;
      if (fraction > end + 1) {
        end = fraction;
        type = TokenType::kFloat;
      }
      if (LooksAt("e", end) || LooksAt("E", end)) {
        const size_t digits = end + 1 + (SignAt(end + 1) != 0 ? 1 : 0);
        const size_t exponent_end = SkipDigits(digits, false);
        if (exponent_end > digits) {
          end = exponent_end;
          type = TokenType::kFloat;
        }
      }
    }
    std::string text(source_.substr(at_, end - at_));
    text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
    Add(type, text);
    MoveTo(end);
    return absl::OkStatus();
  }

  absl::Status LexOperator(std::string* open_brackets) {
    static constexpr std::string_view kOperators[] = {
        "**", "//", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    for (const std::string_view op : kOperators) {
      if (!LooksAt(op, at_)) continue;
      const char c = op[0];
      if (c == '(' || c == '[' || c == '{') {
        open_brackets->push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
      } else if (c == ')' || c == ']' || c == '}') {
        if (open_brackets->empty()) return Fail(absl::StrFormat("unexpected '%c'", c));
        if (open_brackets->back() != c) {
          return Fail(absl::StrFormat("unexpected '%c', expected '%c'", c, open_brackets->back()));
        }
        open_brackets->pop_back();
      }
      Add(TokenType::kOperator, op);
      MoveTo(at_ + op.size());
      return absl::OkStatus();
    }
    return Fail(absl::StrFormat("unexpected character '%s'",
                                source_.substr(at_, DecodeAt(source_, at_).size)));
  }

  const std::string_view source_;
  size_t at_ = 0;
  int32_t line_ = 1;
  bool at_line_start_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::string NormalizeNewlines(std::string_view source) {
  std::string result;
  result.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      result.push_back(source[i]);
      continue;
    }
    result.push_back('\n');
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!result.empty() && result.back() == '\n') result.pop_back();
  return result;
}

absl::StatusOr<std::vector<Token>> LexTemplate(std::string_view normalized_source) {
  return Lexer(normalized_source).Run();
}

std::string DescribeToken(const Token& token) {
  switch (token.type) {
    case TokenType::kText:
      return "template text";
    case TokenType::kOutputBegin:
      return "begin of print statement";
    case TokenType::kOutputEnd:
      return "end of print statement";
    case TokenType::kBlockBegin:
      return "begin of statement block";
    case TokenType::kBlockEnd:
      return "end of statement block";
    case TokenType::kString:
      return "string";
    case TokenType::kEnd:
      return "end of template";
    default:
      return absl::StrFormat("'%s'", token.text);
  }
}

}  // namespace banyan::jinja
