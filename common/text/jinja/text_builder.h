// Builds strings piece by piece and keeps for each byte whether a user wrote it. Not thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/text/jinja/value.h"

namespace banyan::jinja {

class TextBuilder {
 public:
  // Bytes are charged to `arena`; when that is exceeded, or `max_bytes` would be passed, the piece
  // is dropped and overflowed() is true from then on.
  explicit TextBuilder(Arena& arena, size_t max_bytes = SIZE_MAX)
      : arena_(arena), max_bytes_(max_bytes) {}

  void Append(std::string_view text, Origin origin = Origin::kTemplate);  // not kMixed
  void Append(char c, Origin origin = Origin::kTemplate) {
    Append(std::string_view(&c, 1), origin);
  }
  void Append(const String& s) { AppendSlice(s, 0, s.size); }
  void AppendSlice(const String& s, size_t begin, size_t end);
  void AppendRepeated(const String& s, size_t times);
  void AppendRepeated(char c, size_t times);

  const String* Finish();
  Value FinishValue() { return Value::Str(Finish()); }

  const std::string& text() const { return text_; }
  size_t size() const { return text_.size(); }
  bool overflowed() const { return overflowed_; }
  std::string TakeText() { return std::move(text_); }
  std::vector<TextSpan> TakeSpans() { return std::move(spans_); }

 private:
  bool Reserve(size_t bytes);
  void AddSpan(size_t begin, size_t end);

  Arena& arena_;
  const size_t max_bytes_;
  bool overflowed_ = false;
  std::string text_;
  std::vector<TextSpan> spans_;  // of user text, ascending, disjoint, not touching
};

}  // namespace banyan::jinja
