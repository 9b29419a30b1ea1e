#include "common/text/word_splitter.h"

#include <algorithm>

namespace banyan {
namespace {

constexpr uint8_t kNotOther = kSpace | kLetter | kNumber;

// A position in the text and the class of the character there.
class Cursor {
 public:
  Cursor(const CharTable& table, std::string_view text, size_t at)
      : table_(table), text_(text), at_(at) {
    Look();
  }

  bool done() const { return at_ >= text_.size(); }
  size_t at() const { return at_; }
  uint8_t classes() const { return classes_; }
  char byte() const { return done() ? '\0' : text_[at_]; }
  bool Is(uint8_t classes) const { return (classes_ & classes) != 0; }
  bool IsOther() const { return !done() && (classes_ & kNotOther) == 0; }
  bool IsNewline() const { return byte() == '\n' || byte() == '\r'; }

  void Next() {
    at_ += size_;
    Look();
  }
  void SkipWhile(uint8_t classes) {
    while (Is(classes)) Next();
  }
  void SkipOther() {
    while (IsOther()) Next();
  }
  void SkipNewlines() {
    while (IsNewline()) Next();
  }

 private:
  void Look() {
    classes_ = 0;
    size_ = 1;
    if (done()) return;
    const auto lead = static_cast<uint8_t>(text_[at_]);
    if (lead < 0x80) {
      classes_ = table_.AsciiClasses(lead);
    } else {
      const DecodedChar c = DecodeChar(text_.data() + at_);
      classes_ = table_.Classes(c.code);
      size_ = c.size;
    }
  }

  const CharTable& table_;
  const std::string_view text_;
  size_t at_;
  uint32_t size_ = 1;
  uint8_t classes_ = 0;
};

enum class Case { kExact, kFolded };

// End of 's 't 're 've 'm 'll 'd at `at`, or `at`. Folded, U+017F counts as an s.
size_t ContractionEnd(std::string_view text, size_t at, Case how) {
  if (at >= text.size() || text[at] != '\'') return at;
  const auto letter = [&](size_t i) {
    const char c = i < text.size() ? text[i] : '\0';
    return how == Case::kFolded && c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  };
  const char first = letter(at + 1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
  const char second = letter(at + 2);
  if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
      (first == 'l' && second == 'l')) {
    return at + 3;
  }
  if (how == Case::kFolded && text.substr(at + 1, 2) == "\xC5\xBF") return at + 3;
  return at;
}

// \s+(?!\S)|\s+ over the run of white space that begins here: all of it at the end of the text or
// when it is one character, else all but its last character.
size_t SpaceRunEnd(const CharTable& table, std::string_view text, size_t begin) {
  Cursor cursor(table, text, begin);
  size_t last = begin;
  while (cursor.Is(kSpace)) {
    last = cursor.at();
    cursor.Next();
  }
  return cursor.done() || last == begin ? cursor.at() : last;
}

// \s*[\r\n]+|\s+(?!\S)|\s+ : up to the last line end of the run where it has one.
size_t SpaceOrLineEnd(const CharTable& table, std::string_view text, size_t begin) {
  size_t after_newline = begin;
  for (Cursor cursor(table, text, begin); cursor.Is(kSpace);) {
    const bool newline = cursor.IsNewline();
    cursor.Next();
    if (newline) after_newline = cursor.at();
  }
  return after_newline > begin ? after_newline : SpaceRunEnd(table, text, begin);
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
size_t Gpt2End(const CharTable& table, std::string_view text, size_t begin) {
  if (const size_t end = ContractionEnd(text, begin, Case::kExact); end > begin) return end;
  Cursor cursor(table, text, begin);
  if (text[begin] == ' ') cursor.Next();
  if (cursor.Is(kLetter)) {
    cursor.SkipWhile(kLetter);
  } else if (cursor.Is(kNumber)) {
    cursor.SkipWhile(kNumber);
  } else if (cursor.IsOther()) {
    cursor.SkipOther();
  } else {
    return SpaceRunEnd(table, text, begin);
  }
  return cursor.at();
}

size_t NumberEnd(Cursor& cursor, int max) {
  for (int i = 0; i < max && cursor.Is(kNumber); ++i) cursor.Next();
  return cursor.at();
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,max}| ?[^\s\p{L}\p{N}]+[\r\n]*
// |\s*[\r\n]+|\s+(?!\S)|\s+
size_t Cl100kEnd(const CharTable& table, std::string_view text, size_t begin, int digits_max) {
  if (const size_t end = ContractionEnd(text, begin, Case::kFolded); end > begin) return end;
  Cursor cursor(table, text, begin);
  if (cursor.Is(kNumber)) return NumberEnd(cursor, digits_max);
  if (!cursor.Is(kLetter)) {
    const bool leads_letters = !cursor.IsNewline();
    const bool leads_other = text[begin] == ' ';
    const bool other = cursor.IsOther();
    cursor.Next();
    if (!(leads_letters && cursor.Is(kLetter))) {
      if (!other && !(leads_other && cursor.IsOther())) return SpaceOrLineEnd(table, text, begin);
      cursor.SkipOther();
      cursor.SkipNewlines();
      return cursor.at();
    }
  }
  cursor.SkipWhile(kLetter);
  return cursor.at();
}

struct CasedMatch {
  size_t end = 0;
  bool by_first = false;  // by U*L+, which is tried with and without a lead before U+L*
};

// U*L+ or, where that fails, U+L*, with U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and
// L = [\p{Ll}\p{Lm}\p{Lo}\p{M}]; the end is `begin` when neither matches. Greedy U* gives back
// characters until L+ can start: the last one of the run that is in both classes, unless a lower
// case letter follows the run.
CasedMatch CasedLetters(const CharTable& table, std::string_view text, size_t begin) {
  Cursor cursor(table, text, begin);
  size_t after_both = begin;
  while (cursor.Is(kUpperLike)) {
    const bool both = cursor.Is(kLowerLike);
    cursor.Next();
    if (both) after_both = cursor.at();
  }
  if (cursor.Is(kLowerLike)) {
    cursor.SkipWhile(kLowerLike);
    return {cursor.at(), true};
  }
  if (after_both > begin) return {after_both, true};
  return {cursor.at(), false};
}

// The two patterns of CasedLetters, each with [^\r\n\p{L}\p{N}]? before it, then (o200k)
// contractions, numbers, " ?[^\s\p{L}\p{N}]+[\r\n/]*" and white space as in Cl100kEnd.
size_t CasedEnd(const CharTable& table, std::string_view text, size_t begin, SplitRule rule) {
  Cursor cursor(table, text, begin);
  const bool may_lead = !cursor.Is(kLetter | kNumber) && !cursor.IsNewline();
  const bool mark = cursor.Is(kUpperLike) && !cursor.Is(kLetter);
  Cursor after = cursor;
  after.Next();
  size_t end = begin;
  if (may_lead && !after.done()) {
    const CasedMatch letters = CasedLetters(table, text, after.at());
    if (letters.end > after.at() && (letters.by_first || !mark)) end = letters.end;
  }
  if (end == begin && (cursor.Is(kLetter) || mark)) end = CasedLetters(table, text, begin).end;
  if (end > begin) {
    return rule == SplitRule::kO200k ? ContractionEnd(text, end, Case::kFolded) : end;
  }
  if (cursor.Is(kNumber)) return NumberEnd(cursor, rule == SplitRule::kO200k ? 3 : 1);
  if (cursor.IsOther() || (text[begin] == ' ' && after.IsOther())) {
    after.SkipOther();
    while (after.IsNewline() || after.byte() == '/') after.Next();
    return after.at();
  }
  return SpaceOrLineEnd(table, text, begin);
}

size_t DigitsEnd(const CharTable& table, std::string_view text, size_t begin, SplitRule rule) {
  Cursor cursor(table, text, begin);
  if (!cursor.Is(kNumber)) {
    while (!cursor.done() && !cursor.Is(kNumber)) cursor.Next();
    return cursor.at();
  }
  if (rule == SplitRule::kDigitsEach) {
    cursor.Next();
  } else {
    cursor.SkipWhile(kNumber);
  }
  return cursor.at();
}

// End of the word at `begin` where words begin with U+2581 (E2 96 81).
size_t BlankMarkEnd(std::string_view text, size_t begin, SplitRule rule) {
  constexpr std::string_view kMark = "\xE2\x96\x81";
  size_t at = begin;
  if (rule == SplitRule::kBlankMarkRuns) {
    while (text.substr(at, kMark.size()) == kMark) at += kMark.size();
  } else if (text.substr(at, kMark.size()) == kMark) {
    at += kMark.size();
  }
  return std::min(text.find(kMark, at), text.size());
}

struct KnownRegex {
  std::string_view regex;
  SplitRule rule;
};

constexpr KnownRegex kKnownRegexes[] = {
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
     SplitRule::kGpt2},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
     SplitRule::kGpt2},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
     R"(|\s*[\r\n]+|\s+(?!\S)|\s+)",
     SplitRule::kCl100kOne},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
     R"(|\s*[\r\n]+|\s+(?!\S)|\s+)",
     SplitRule::kCl100kThree},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
     R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
     R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     SplitRule::kO200k},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
     R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
     R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     SplitRule::kTekken},
};

}  // namespace

std::optional<SplitRule> FindSplitRule(std::string_view regex) {
  for (const KnownRegex& known : kKnownRegexes) {
    if (known.regex == regex) return known.rule;
  }
  return std::nullopt;
}

size_t WordEnd(SplitRule rule, const CharTable& table, std::string_view text, size_t begin) {
  switch (rule) {
    case SplitRule::kDigitsEach:
    case SplitRule::kDigitRuns:
      return DigitsEnd(table, text, begin, rule);
    case SplitRule::kGpt2:
      return Gpt2End(table, text, begin);
    case SplitRule::kCl100kOne:
      return Cl100kEnd(table, text, begin, 1);
    case SplitRule::kCl100kThree:
      return Cl100kEnd(table, text, begin, 3);
    case SplitRule::kO200k:
    case SplitRule::kTekken:
      return CasedEnd(table, text, begin, rule);
    case SplitRule::kBlankMark:
    case SplitRule::kBlankMarkRuns:
      return BlankMarkEnd(text, begin, rule);
  }
  return text.size();
}

}  // namespace banyan
