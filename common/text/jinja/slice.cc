// value[begin:end:step] of strings, lists, tuples and ranges, with Python's rules for open,
// negative and out-of-range bounds.
#include <algorithm>
#include <optional>

#include "common/base/status_macros.h"
#include "common/text/jinja/operators.h"
#include "common/text/jinja/unicode.h"

namespace banyan::jinja {
namespace {

struct Bounds {
  int64_t begin;
  int64_t end;
  int64_t step;

  size_t Count() const {
    if (step > 0) return begin < end ? static_cast<size_t>((end - begin - 1) / step + 1) : 0;
    return end < begin ? static_cast<size_t>((begin - end - 1) / -step + 1) : 0;
  }
};

// A bound clamped to what a sequence of `size` items can tell apart.
absl::StatusOr<std::optional<int64_t>> ReadBound(const Value& bound) {
  if (bound.is_none()) return std::optional<int64_t>();
  if (!bound.is_integer()) {
    if (bound.is_undefined()) return Error("%s", UndefinedMessage(bound));
    return Error("slice indices must be integers or None, not %s", TypeName(bound));
  }
  constexpr BigInt kLimit = int64_t{1} << 48;
  return std::optional<int64_t>(
      static_cast<int64_t>(std::clamp<BigInt>(ToBigInt(bound), -kLimit, kLimit)));
}

absl::StatusOr<Bounds> ReadBounds(int64_t size, const Value& begin, const Value& end,
                                  const Value& step) {
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> b, ReadBound(begin));
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> e, ReadBound(end));
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> s, ReadBound(step));
  Bounds bounds{};
  bounds.step = s.value_or(1);
  if (bounds.step == 0) return Error("slice step cannot be zero");
  const int64_t low = bounds.step > 0 ? 0 : -1;
  const int64_t high = bounds.step > 0 ? size : size - 1;
  const auto clamp = [&](int64_t at) { return std::clamp(at < 0 ? at + size : at, low, high); };
  bounds.begin = b ? clamp(*b) : (bounds.step > 0 ? low : high);
  bounds.end = e ? clamp(*e) : (bounds.step > 0 ? high : low);
  return bounds;
}

absl::StatusOr<Value> SliceString(Interpreter& interpreter, const String& s, const Value& begin,
                                  const Value& end, const Value& step) {
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(s.size));
  const std::string_view text = s.view();
  const auto size = static_cast<int64_t>(CountCharacters(text));
  BANYAN_ASSIGN_OR_RETURN(const Bounds bounds, ReadBounds(size, begin, end, step));
  const size_t count = bounds.Count();
  if (bounds.step == 1) {
    const size_t from = OffsetOfCharacter(text, static_cast<size_t>(bounds.begin));
    const size_t length = OffsetOfCharacter(text.substr(from), count);
    return Value::Str(Slice(interpreter.arena(), s, from, from + length));
  }
  std::vector<size_t> offsets;
  if (!interpreter.arena().Charge(static_cast<size_t>(size) * sizeof(size_t))) {
    return Error("out of memory");
  }
  for (size_t at = 0; at < text.size(); at += DecodeAt(text, at).size) offsets.push_back(at);
  TextBuilder result(interpreter.arena());
  for (size_t i = 0; i < count; ++i) {
    const size_t at =
        offsets[static_cast<size_t>(bounds.begin + static_cast<int64_t>(i) * bounds.step)];
    result.AppendSlice(s, at, at + DecodeAt(text, at).size);
  }
  return result.FinishValue();
}

}  // namespace

absl::StatusOr<Value> SliceValue(Interpreter& interpreter, const Value& value, const Value& begin,
                                 const Value& end, const Value& step) {
  if (value.is_string()) return SliceString(interpreter, *value.string, begin, end, step);
  if (!value.is_sequence() || value.sequence->flavor > Flavor::kRange) {
    if (value.is_undefined()) return Error("%s", UndefinedMessage(value));
    return Error("'%s' object is not subscriptable", TypeName(value));
  }
  const Sequence& s = *value.sequence;
  BANYAN_ASSIGN_OR_RETURN(const Bounds bounds,
                          ReadBounds(static_cast<int64_t>(s.size), begin, end, step));
  const size_t count = bounds.Count();
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(count * sizeof(Value)));
  if (bounds.step == 1) {
    return MakeSequence(interpreter.arena(), s.items + bounds.begin, count, s.flavor);
  }
  auto* items = interpreter.arena().NewArray<Value>(count);
  if (items == nullptr) return Error("out of memory");
  for (size_t i = 0; i < count; ++i) {
    items[i] = s.items[bounds.begin + static_cast<int64_t>(i) * bounds.step];
  }
  return MakeSequence(interpreter.arena(), items, count, s.flavor);
}

}  // namespace banyan::jinja
