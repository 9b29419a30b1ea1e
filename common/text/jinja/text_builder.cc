#include "common/text/jinja/text_builder.h"

#include <algorithm>
#include <cstring>

namespace banyan::jinja {
namespace {

// The first span that ends after `offset`.
const TextSpan* FirstSpanAfter(const String& s, size_t offset) {
  return std::upper_bound(s.spans, s.spans + s.num_spans, offset,
                          [](size_t at, const TextSpan& span) { return at < span.end; });
}

// Spans of [begin, end) of `s`, moved by -begin + shift, written to `out` (room for num_spans).
uint32_t CopySpans(const String& s, size_t begin, size_t end, size_t shift, TextSpan* out) {
  uint32_t n = 0;
  const TextSpan* const last = s.spans + s.num_spans;
  for (const TextSpan* span = FirstSpanAfter(s, begin); span != last && span->begin < end; ++span) {
    out[n++] = {std::max(span->begin, begin) - begin + shift,
                std::min(span->end, end) - begin + shift};
  }
  return n;
}

// The user spans of a concatenation; the origin if it is not mixed.
void JoinSpans(Arena& arena, const String& a, const String& b, String* joined) {
  if (a.size == 0 || b.size == 0 || (a.origin == b.origin && a.origin != Origin::kMixed)) {
    const String& source = a.size == 0 ? b : a;
    joined->origin = source.origin;
    joined->spans = source.spans;
    joined->num_spans = source.num_spans;
    return;
  }
  joined->origin = Origin::kMixed;
  auto* spans = arena.NewArray<TextSpan>(size_t{a.num_spans} + b.num_spans + 2);
  if (spans == nullptr) return;
  uint32_t n = 0;
  if (a.origin == Origin::kUser) spans[n++] = {0, a.size};
  if (a.origin == Origin::kMixed) n = CopySpans(a, 0, a.size, 0, spans);
  if (b.origin == Origin::kUser) spans[n++] = {a.size, a.size + b.size};
  if (b.origin == Origin::kMixed) n += CopySpans(b, 0, b.size, a.size, spans + n);
  joined->spans = spans;
  joined->num_spans = n;
}

}  // namespace

const String* NewString(Arena& arena, std::string_view text, Origin origin) {
  auto* data = arena.NewArray<char>(text.size());
  if (data == nullptr) return arena.New<String>();
  if (!text.empty()) std::memcpy(data, text.data(), text.size());
  return arena.New<String>(data, text.size(), origin);
}

Value TemplateString(Arena& arena, std::string_view text) {
  return Value::Str(NewString(arena, text, Origin::kTemplate));
}

const String* Slice(Arena& arena, const String& s, size_t begin, size_t end) {
  if (begin == 0 && end == s.size) return &s;
  auto* slice = arena.New<String>(s.data + begin, end - begin, s.origin);
  if (s.origin != Origin::kMixed) return slice;
  const TextSpan* const first = FirstSpanAfter(s, begin);
  const TextSpan* const last = s.spans + s.num_spans;
  if (first == last || first->begin >= end) {
    slice->origin = Origin::kTemplate;
  } else if (first->begin <= begin && first->end >= end) {
    slice->origin = Origin::kUser;
  } else {
    auto* spans = arena.NewArray<TextSpan>(static_cast<size_t>(last - first));
    if (spans == nullptr) return slice;
    slice->num_spans = CopySpans(s, begin, end, 0, spans);
    slice->spans = spans;
  }
  return slice;
}

const String* Concat(Arena& arena, const String& a, const String& b) {
  if (b.size == 0) return &a;
  if (a.size == 0) return &b;
  const size_t size = a.size + b.size;
  auto* joined = arena.New<String>(a.data, size);
  StringBuffer* buffer = a.buffer;
  const bool extends = buffer != nullptr && a.data + a.size == buffer->data + buffer->used &&
                       buffer->capacity - buffer->used >= b.size;
  if (!extends) {
    // Room to grow: a chain of `+` copies each byte once or twice, not once per operator.
    const size_t capacity = size + size / 2 + 32;
    auto* data = arena.NewArray<char>(capacity);
    if (data == nullptr) return &a;
    std::memcpy(data, a.data, a.size);
    buffer = arena.New<StringBuffer>(data, a.size, capacity);
    joined->data = data;
  }
  std::memcpy(buffer->data + buffer->used, b.data, b.size);
  buffer->used += b.size;
  joined->buffer = buffer;
  JoinSpans(arena, a, b, joined);
  return joined;
}

bool IsUserByte(const String& s, size_t offset) {
  if (s.origin != Origin::kMixed) return s.origin == Origin::kUser;
  const TextSpan* span = FirstSpanAfter(s, offset);
  return span != s.spans + s.num_spans && span->begin <= offset;
}

bool TextBuilder::Reserve(size_t bytes) {
  if (overflowed_ || bytes > max_bytes_ - text_.size() || !arena_.Charge(bytes)) {
    overflowed_ = true;
    return false;
  }
  return true;
}

void TextBuilder::AddSpan(size_t begin, size_t end) {
  if (begin == end) return;
  if (!spans_.empty() && spans_.back().end == begin) {
    spans_.back().end = end;
  } else {
    spans_.push_back({begin, end});
  }
}

void TextBuilder::Append(std::string_view text, Origin origin) {
  if (!Reserve(text.size())) return;
  if (origin == Origin::kUser) AddSpan(text_.size(), text_.size() + text.size());
  text_.append(text);
}

void TextBuilder::AppendSlice(const String& s, size_t begin, size_t end) {
  if (s.origin != Origin::kMixed) {
    Append(s.view().substr(begin, end - begin), s.origin);
    return;
  }
  if (!Reserve(end - begin)) return;
  const TextSpan* const last = s.spans + s.num_spans;
  for (const TextSpan* span = FirstSpanAfter(s, begin); span != last && span->begin < end; ++span) {
    AddSpan(text_.size() + std::max(span->begin, begin) - begin,
            text_.size() + std::min(span->end, end) - begin);
  }
  text_.append(s.view().substr(begin, end - begin));
}

void TextBuilder::AppendRepeated(const String& s, size_t times) {
  if (s.size == 0) return;
  if (times > max_bytes_ / s.size || times > arena_.limit_bytes() / s.size) {
    overflowed_ = true;
    arena_.Charge(arena_.limit_bytes() + 1);
    return;
  }
  for (size_t i = 0; i < times && !overflowed_; ++i) Append(s);
}

void TextBuilder::AppendRepeated(char c, size_t times) {
  if (!Reserve(times)) return;
  text_.append(times, c);
}

const String* TextBuilder::Finish() {
  auto* data = arena_.NewArray<char>(text_.size());
  if (data == nullptr) return arena_.New<String>();
  std::copy(text_.begin(), text_.end(), data);
  auto* result = arena_.New<String>(data, text_.size());
  if (spans_.empty()) return result;
  if (spans_.size() == 1 && spans_[0].begin == 0 && spans_[0].end == text_.size()) {
    result->origin = Origin::kUser;
    return result;
  }
  auto* spans = arena_.NewArray<TextSpan>(spans_.size());
  if (spans == nullptr) return result;
  std::copy(spans_.begin(), spans_.end(), spans);
  result->origin = Origin::kMixed;
  result->spans = spans;
  result->num_spans = static_cast<uint32_t>(spans_.size());
  return result;
}

}  // namespace banyan::jinja
