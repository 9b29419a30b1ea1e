// Filters on lists and mappings.
#include <algorithm>

#include "common/base/status_macros.h"
#include "common/text/jinja/attribute_path.h"
#include "common/text/jinja/builtin_entries.h"
#include "common/text/jinja/interpreter.h"
#include "common/text/jinja/operators.h"
#include "common/text/jinja/python_text.h"
#include "common/text/jinja/text_ops.h"
#include "common/text/jinja/unicode.h"

namespace banyan::jinja {
namespace {

using Result = absl::StatusOr<Value>;
using Items = absl::Span<const Value>;

Result NewUndefined(Interpreter& interpreter, std::string_view why) {
  return Value::Of(interpreter.arena().New<Undefined>(Undefined::Reason::kText, "", why));
}

Result ToList(Interpreter& interpreter, const Value& self, const CallArgs&) {
  BANYAN_ASSIGN_OR_RETURN(const Items items, interpreter.Iterate(self));
  BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(items.size() * sizeof(Value)));
  return MakeSequence(interpreter.arena(), items.data(), items.size(), Flavor::kList);
}

Result First(Interpreter& interpreter, const Value& self, const CallArgs&) {
  BANYAN_ASSIGN_OR_RETURN(const Items items, interpreter.Iterate(self));
  if (items.empty()) return NewUndefined(interpreter, "no first item, sequence was empty");
  return items.front();
}

Result Last(Interpreter& interpreter, const Value& self, const CallArgs&) {
  if (self.is_sequence() && self.sequence->flavor == Flavor::kIterator) {
    return Error("'%s' object is not reversible", TypeName(self));
  }
  BANYAN_ASSIGN_OR_RETURN(const Items items, interpreter.Iterate(self));
  if (items.empty()) return NewUndefined(interpreter, "no last item, sequence was empty");
  return items.back();
}

Result Reverse(Interpreter& interpreter, const Value& self, const CallArgs&) {
  if (self.is_string()) {
    const Value step = Value::Int(-1);
    return SliceValue(interpreter, self, Value::None(), Value::None(), step);
  }
  BANYAN_ASSIGN_OR_RETURN(const Items items, interpreter.Iterate(self));
  SequenceBuilder reversed(interpreter.arena());
  for (auto it = items.rbegin(); it != items.rend(); ++it) reversed.Append(*it);
  return reversed.Finish(Flavor::kIterator, "reversed");
}

Result Join(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const Items items, interpreter.Iterate(self));
  const String empty;
  const Value* separator = args.Find(0, "d");
  const Value* attribute = args.Find(1, "attribute");
  const String& between = separator == nullptr ? empty : *ToString(interpreter.arena(), *separator);
  if (attribute == nullptr || attribute->is_none()) return JoinText(interpreter, between, items);
  SequenceBuilder parts(interpreter.arena());
  for (const Value& item : items) {
    BANYAN_ASSIGN_OR_RETURN(const Value part, FollowPath(interpreter, item, *attribute));
    parts.Append(part);
  }
  BANYAN_ASSIGN_OR_RETURN(const Value list, parts.Finish());
  return JoinText(interpreter, between, Items(list.sequence->items, list.sequence->size));
}

// Bottom-up merge sort: stable, and the first failing comparison ends it.
absl::Status SortBy(Interpreter& interpreter, const std::vector<Value>& keys, bool reverse,
                    std::vector<size_t>* order) {
  std::vector<size_t> other(order->size());
  for (size_t width = 1; width < order->size(); width *= 2) {
    for (size_t begin = 0; begin < order->size(); begin += 2 * width) {
      const size_t middle = std::min(begin + width, order->size());
      const size_t end = std::min(begin + 2 * width, order->size());
      size_t left = begin;
      size_t right = middle;
      for (size_t at = begin; at < end; ++at) {
        bool takes_right = left == middle;
        if (!takes_right && right < end) {
          const Value& l = keys[(*order)[left]];
          const Value& r = keys[(*order)[right]];
          BANYAN_ASSIGN_OR_RETURN(takes_right,
                                  reverse ? Less(interpreter, l, r) : Less(interpreter, r, l));
        }
        other[at] = (*order)[takes_right ? right++ : left++];
      }
    }
    order->swap(other);
  }
  return absl::OkStatus();
}

// The items in the order of their keys.
Result Sorted(Interpreter& interpreter, Items items, const std::vector<Value>& keys, bool reverse,
              Flavor flavor = Flavor::kList) {
  if (!interpreter.arena().Charge(items.size() * 2 * sizeof(size_t))) return Error("out of memory");
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  BANYAN_RETURN_IF_ERROR(SortBy(interpreter, keys, reverse, &order));
  SequenceBuilder sorted(interpreter.arena());
  for (const size_t i : order) sorted.Append(items[i]);
  return sorted.Finish(flavor);
}

CaseSensitive CaseArgument(const CallArgs& args, size_t position) {
  return BoolArgument(args, position, "case_sensitive", false) ? CaseSensitive::kYes
                                                               : CaseSensitive::kNo;
}

// One key per item: the item itself, or what the comma-separated attributes lead to.
absl::StatusOr<std::vector<Value>> SortKeys(Interpreter& interpreter, Items items,
                                            const Value* attribute, CaseSensitive case_sensitive,
                                            const Value* fallback = nullptr) {
  std::vector<Value> keys;
  if (!interpreter.arena().Charge(items.size() * sizeof(Value))) return Error("out of memory");
  const bool has_attribute = attribute != nullptr && !attribute->is_none();
  const bool several = has_attribute && attribute->is_string() &&
                       attribute->text().find(',') != std::string_view::npos;
  for (const Value& item : items) {
    if (!has_attribute) {
      keys.push_back(ComparisonKey(interpreter, item, case_sensitive));
      continue;
    }
    SequenceBuilder parts(interpreter.arena());
    std::string_view rest = attribute->is_string() ? attribute->text() : std::string_view();
    Value part;
    do {
      const size_t comma = std::min(rest.find(','), rest.size());
      const String name{.data = rest.data(), .size = comma};
      BANYAN_ASSIGN_OR_RETURN(
          part, FollowPath(interpreter, item, several ? Value::Str(&name) : *attribute, fallback));
      part = ComparisonKey(interpreter, part, case_sensitive);
      parts.Append(part);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    } while (several && !rest.empty());
    if (several) {
      BANYAN_ASSIGN_OR_RETURN(part, parts.Finish(Flavor::kTuple));
    }
    keys.push_back(part);
  }
  return keys;
}

Result Sort(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const Items items, interpreter.Iterate(self));
  BANYAN_ASSIGN_OR_RETURN(
      const std::vector<Value> keys,
      SortKeys(interpreter, items, args.Find(2, "attribute"), CaseArgument(args, 1)));
  return Sorted(interpreter, items, keys, BoolArgument(args, 0, "reverse", false));
}

Result DictSort(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  if (!self.is_dict()) return Error("dictsort needs a mapping, not '%s'", TypeName(self));
  const Value* by = args.Find(1, "by");
  const bool by_value = by != nullptr && by->is_string() && by->text() == "value";
  if (by != nullptr && !by_value && !(by->is_string() && by->text() == "key")) {
    return Error("you can only sort by either 'key' or 'value'");
  }
  Arena& arena = interpreter.arena();
  SequenceBuilder pairs(arena);
  std::vector<Value> keys;
  for (size_t i = 0; i < self.dict->size && !pairs.full(); ++i) {
    const DictEntry& entry = self.dict->entries[i];
    SequenceBuilder pair(arena);
    pair.Append(entry.key);
    pair.Append(entry.value);
    BANYAN_ASSIGN_OR_RETURN(const Value tuple, pair.Finish(Flavor::kTuple));
    pairs.Append(tuple);
    keys.push_back(
        ComparisonKey(interpreter, by_value ? entry.value : entry.key, CaseArgument(args, 0)));
  }
  BANYAN_ASSIGN_OR_RETURN(const Value list, pairs.Finish());
  return Sorted(interpreter, Items(list.sequence->items, list.sequence->size), keys,
                BoolArgument(args, 2, "reverse", false));
}

Result Sum(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const Items items, interpreter.Iterate(self));
  const Value* attribute = args.Find(0, "attribute");
  const Value* start = args.Find(1, "start");
  Value total = start == nullptr ? Value::Int(0) : *start;
  for (const Value& item : items) {
    Value term = item;
    if (attribute != nullptr && !attribute->is_none()) {
      BANYAN_ASSIGN_OR_RETURN(term, FollowPath(interpreter, item, *attribute));
    }
    BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(Interpreter::kBytesPerStep));
    BANYAN_ASSIGN_OR_RETURN(total, Arithmetic(interpreter, Operator::kAdd, total, term));
  }
  return total;
}

template <bool kLargest>
Result Extreme(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const Items items, interpreter.Iterate(self));
  if (items.empty()) return NewUndefined(interpreter, "no aggregated item, sequence was empty");
  BANYAN_ASSIGN_OR_RETURN(
      const std::vector<Value> keys,
      SortKeys(interpreter, items, args.Find(1, "attribute"), CaseArgument(args, 0)));
  size_t best = 0;
  for (size_t i = 1; i < items.size(); ++i) {
    BANYAN_ASSIGN_OR_RETURN(const bool better, kLargest ? Less(interpreter, keys[best], keys[i])
                                                        : Less(interpreter, keys[i], keys[best]));
    if (better) best = i;
  }
  return items[best];
}

Result Unique(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const Items items, interpreter.Iterate(self));
  BANYAN_ASSIGN_OR_RETURN(
      const std::vector<Value> keys,
      SortKeys(interpreter, items, args.Find(1, "attribute"), CaseArgument(args, 0)));
  // A dict keeps the first item of each key.
  DictBuilder seen(interpreter.arena());
  for (size_t i = items.size(); i-- > 0;) {
    BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(WorkBytes(keys[i])));
    BANYAN_RETURN_IF_ERROR(seen.Set(keys[i], Value::Int(static_cast<int64_t>(i))));
  }
  BANYAN_ASSIGN_OR_RETURN(const Value first_of, seen.Finish());
  SequenceBuilder unique(interpreter.arena());
  for (size_t i = 0; i < items.size(); ++i) {
    if (first_of.dict->Find(keys[i])->integer == static_cast<int64_t>(i)) unique.Append(items[i]);
  }
  return unique.Finish(Flavor::kIterator);
}

Result Batch(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const Items items, interpreter.Iterate(self));
  BANYAN_ASSIGN_OR_RETURN(const int64_t size, IntegerArgument(args, 0, "linecount", 0));
  if (size < 1) return Error("batch needs a positive number");
  const Value* fill = args.Find(1, "fill_with");
  SequenceBuilder batches(interpreter.arena());
  for (size_t begin = 0; begin < items.size() && !batches.full();
       begin += static_cast<size_t>(size)) {
    const size_t count = std::min(static_cast<size_t>(size), items.size() - begin);
    SequenceBuilder batch(interpreter.arena());
    for (size_t i = 0; i < count; ++i) batch.Append(items[begin + i]);
    const bool is_filled = fill != nullptr && !fill->is_none();
    while (is_filled && batch.size() < static_cast<size_t>(size) && !batch.full()) {
      batch.Append(*fill);
    }
    BANYAN_ASSIGN_OR_RETURN(const Value list, batch.Finish());
    batches.Append(list);
  }
  return batches.Finish(Flavor::kIterator);
}

Result SliceInto(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  BANYAN_ASSIGN_OR_RETURN(const Items items, interpreter.Iterate(self));
  BANYAN_ASSIGN_OR_RETURN(const int64_t slices, IntegerArgument(args, 0, "slices", 0));
  if (slices < 1) return Error("slice needs a positive number");
  const Value* fill = args.Find(1, "fill_with");
  const auto num_slices = static_cast<size_t>(slices);
  const size_t per_slice = items.size() / num_slices;
  const size_t num_longer = items.size() % num_slices;
  SequenceBuilder result(interpreter.arena());
  size_t at = 0;
  for (size_t i = 0; i < num_slices && !result.full(); ++i) {
    SequenceBuilder slice(interpreter.arena());
    const size_t end = at + per_slice + (i < num_longer ? 1 : 0);
    for (; at < end; ++at) slice.Append(items[at]);
    if (fill != nullptr && !fill->is_none() && i >= num_longer) slice.Append(*fill);
    BANYAN_ASSIGN_OR_RETURN(const Value list, slice.Finish());
    result.Append(list);
  }
  return result.Finish(Flavor::kIterator);
}

Result ItemPairs(Interpreter& interpreter, const Value& self, const CallArgs&) {
  if (self.is_undefined()) return SequenceBuilder(interpreter.arena()).Finish(Flavor::kIterator);
  if (!self.is_dict()) return Error("can only get item pairs from a mapping");
  BANYAN_ASSIGN_OR_RETURN(const Value method, interpreter.GetAttribute(self, "items"));
  BANYAN_ASSIGN_OR_RETURN(const Value items, interpreter.Call(method, {}));
  items.sequence->flavor = Flavor::kIterator;
  return items;
}

Result GroupBy(Interpreter& interpreter, const Value& self, const CallArgs& args) {
  const Value* attribute = args.Find(0, "attribute");
  if (attribute == nullptr) return Error("groupby needs an attribute");
  const Value* fallback = args.Find(1, "default");
  const CaseSensitive case_sensitive = CaseArgument(args, 2);
  BANYAN_ASSIGN_OR_RETURN(const Items items, interpreter.Iterate(self));
  BANYAN_ASSIGN_OR_RETURN(const std::vector<Value> keys,
                          SortKeys(interpreter, items, attribute, case_sensitive, fallback));
  BANYAN_ASSIGN_OR_RETURN(const Value sorted, Sorted(interpreter, items, keys, false));
  const Items in_order(sorted.sequence->items, sorted.sequence->size);
  BANYAN_ASSIGN_OR_RETURN(const std::vector<Value> sorted_keys,
                          SortKeys(interpreter, in_order, attribute, case_sensitive, fallback));
  SequenceBuilder groups(interpreter.arena());
  for (size_t begin = 0; begin < in_order.size() && !groups.full();) {
    SequenceBuilder members(interpreter.arena());
    size_t end = begin;
    for (; end < in_order.size() && Equal(sorted_keys[end], sorted_keys[begin]); ++end) {
      BANYAN_RETURN_IF_ERROR(interpreter.ChargeBytes(WorkBytes(sorted_keys[end])));
      members.Append(in_order[end]);
    }
    SequenceBuilder group(interpreter.arena());
    // The name of a group is the first member's own spelling.
    BANYAN_ASSIGN_OR_RETURN(const Value name,
                            FollowPath(interpreter, in_order[begin], *attribute, fallback));
    group.Append(name);
    BANYAN_ASSIGN_OR_RETURN(const Value list, members.Finish());
    group.Append(list);
    BANYAN_ASSIGN_OR_RETURN(Value tuple, group.Finish(Flavor::kTuple));
    tuple.sequence->is_group = true;
    groups.Append(tuple);
    begin = end;
  }
  return groups.Finish();
}

}  // namespace

absl::Span<const BuiltinEntry> SequenceFilters() {
  static constexpr BuiltinEntry kEntries[] = {
      {"list", &ToList},        {"first", &First},     {"last", &Last},
      {"reverse", &Reverse},    {"join", &Join},       {"sort", &Sort},
      {"dictsort", &DictSort},  {"sum", &Sum},         {"max", &Extreme<true>},
      {"min", &Extreme<false>}, {"unique", &Unique},   {"batch", &Batch},
      {"slice", &SliceInto},    {"items", &ItemPairs}, {"groupby", &GroupBy},
  };
  return kEntries;
}

}  // namespace banyan::jinja
