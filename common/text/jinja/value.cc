#include "common/text/jinja/value.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/hash/hash.h"

namespace banyan::jinja {
namespace {

constexpr size_t kUnindexedEntriesMax = 8;

uint16_t DepthOf(const Value& v) {
  if (v.is_sequence()) return v.sequence->depth;
  if (v.is_dict()) return v.dict->depth;
  return 0;
}

// Units of 64 bytes of work, saturating: shared parts make it grow exponentially.
constexpr uint64_t kWeightMax = uint64_t{1} << 40;
constexpr size_t kBytesPerWeight = 64;

uint64_t WeightOf(const Value& v) {
  if (v.is_string()) return 1 + v.string->size / kBytesPerWeight;
  if (v.is_sequence()) return v.sequence->weight;
  return v.is_dict() ? v.dict->weight : 1;
}

absl::Status TooDeep() { return Error("values are nested deeper than %d levels", kMaxValueDepth); }

bool EqualSequences(const Sequence& a, const Sequence& b) {
  if (a.flavor != b.flavor || a.size != b.size) return false;
  for (size_t i = 0; i < a.size; ++i) {
    if (!Equal(a.items[i], b.items[i])) return false;
  }
  return true;
}

bool EqualDicts(const Dict& a, const Dict& b) {
  if (a.size != b.size) return false;
  for (size_t i = 0; i < a.size; ++i) {
    const Value* other = b.Find(a.entries[i].key);
    if (other == nullptr || !Equal(a.entries[i].value, *other)) return false;
  }
  return true;
}

bool EqualNumbers(const Value& a, const Value& b) {
  if (a.kind == Kind::kFloat || b.kind == Kind::kFloat) return ToDouble(a) == ToDouble(b);
  return ToBigInt(a) == ToBigInt(b);
}

}  // namespace

std::string UndefinedMessage(const Value& value) {
  const Undefined* u = value.undefined;
  if (u == nullptr) return "value is undefined";
  switch (u->reason) {
    case Undefined::Reason::kName:
      return absl::StrFormat("'%s' is undefined", u->name);
    case Undefined::Reason::kAttribute:
      if (std::string_view(u->owner) == "NoneType") {
        return absl::StrFormat("'None' has no attribute '%s'", u->name);
      }
      return absl::StrFormat("'%s object' has no attribute '%s'", u->owner, u->name);
    case Undefined::Reason::kElement:
      return absl::StrFormat("'%s object' has no such element", u->owner);
    case Undefined::Reason::kParameter:
      return absl::StrFormat("parameter '%s' was not provided", u->name);
    case Undefined::Reason::kUnsafe:
      return absl::StrFormat("access to attribute '%s' of '%s' object is unsafe", u->name,
                             u->owner);
    case Undefined::Reason::kText:
      return std::string(u->name);
  }
  return "value is undefined";
}

const Value* Dict::Find(const Value& key) const {
  if (index == nullptr) {
    for (size_t i = 0; i < size; ++i) {
      if (Equal(entries[i].key, key)) return &entries[i].value;
    }
    return nullptr;
  }
  for (size_t slot = HashValue(key) & (index_size - 1); index[slot] != 0;
       slot = (slot + 1) & (index_size - 1)) {
    const DictEntry& entry = entries[index[slot] - 1];
    if (Equal(entry.key, key)) return &entry.value;
  }
  return nullptr;
}

const Value* Dict::Find(std::string_view key) const {
  const String s{.data = key.data(), .size = key.size()};
  return Find(Value::Str(&s));
}

const Value* Namespace::Find(std::string_view name) const {
  for (const Slot* slot = first; slot != nullptr; slot = slot->next) {
    if (slot->name == name) return &slot->value;
  }
  return nullptr;
}

void Namespace::Set(Arena& arena, std::string_view name, const Value& value) {
  for (Slot* slot = first; slot != nullptr; slot = slot->next) {
    if (slot->name == name) {
      slot->value = value;
      return;
    }
  }
  first = arena.New<Slot>(name, value, first);
}

const Value* CallArgs::FindNamed(std::string_view name) const {
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

const Value* CallArgs::Find(size_t position, std::string_view name) const {
  if (position < positional.size()) return &positional[position];
  return FindNamed(name);
}

const char* TypeName(const Value& value) {
  switch (value.kind) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
    case Kind::kBigInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kDict:
      return "dict";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kMacro:
      return "Macro";
    case Kind::kFunction:
      return "function";
    case Kind::kCycler:
      return "Cycler";
    case Kind::kJoiner:
      return "Joiner";
    case Kind::kSequence:
      break;
  }
  switch (value.sequence->flavor) {
    case Flavor::kList:
      return "list";
    case Flavor::kTuple:
      return "tuple";
    case Flavor::kRange:
      return "range";
    case Flavor::kDictKeys:
      return "dict_keys";
    case Flavor::kDictValues:
      return "dict_values";
    case Flavor::kDictItems:
      return "dict_items";
    case Flavor::kIterator:
      return value.sequence->iterator_name;
  }
  return "object";
}

bool IsTrue(const Value& value) {
  switch (value.kind) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return value.boolean;
    case Kind::kInt:
      return value.integer != 0;
    case Kind::kFloat:
      return value.number != 0;
    case Kind::kString:
      return value.string->size != 0;
    case Kind::kSequence:
      return value.sequence->flavor == Flavor::kIterator || value.sequence->size != 0;
    case Kind::kDict:
      return value.dict->size != 0;
    default:
      return true;
  }
}

bool Equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return EqualNumbers(a, b);
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      return a.string == b.string || a.text() == b.text();
    case Kind::kSequence:
      if (a.sequence == b.sequence) return true;
      if (a.sequence->flavor == Flavor::kIterator) return false;
      return EqualSequences(*a.sequence, *b.sequence);
    case Kind::kDict:
      return a.dict == b.dict || EqualDicts(*a.dict, *b.dict);
    case Kind::kFunction:
      return a.function == b.function ||
             (a.function->call == b.function->call && Equal(a.function->self, b.function->self));
    default:
      return a.ns == b.ns;  // identity
  }
}

bool IsHashable(const Value& value) {
  if (value.is_sequence()) return value.sequence->hashable;
  return !value.is_dict();
}

size_t WorkBytes(const Value& value) { return WeightOf(value) * kBytesPerWeight; }

size_t HashValue(const Value& value) {
  switch (value.kind) {
    case Kind::kBool:
      return absl::HashOf(int64_t{value.boolean});
    case Kind::kInt:
      return absl::HashOf(value.integer);
    case Kind::kBigInt:
      return absl::HashOf(static_cast<double>(*value.big));
    case Kind::kFloat: {
      const double d = value.number;
      const bool integral = d >= -9e18 && d <= 9e18 && d == std::floor(d);
      return integral ? absl::HashOf(static_cast<int64_t>(d)) : absl::HashOf(d);
    }
    case Kind::kString:
      return absl::HashOf(value.text());
    case Kind::kSequence: {
      if (value.sequence->flavor != Flavor::kTuple) return absl::HashOf(value.sequence);
      size_t hash = value.sequence->size;
      for (size_t i = 0; i < value.sequence->size; ++i) {
        hash = absl::HashOf(hash, HashValue(value.sequence->items[i]));
      }
      return hash;
    }
    case Kind::kUndefined:
    case Kind::kNone:
      return static_cast<size_t>(value.kind);
    default:
      return absl::HashOf(static_cast<const void*>(value.ns));
  }
}

BigInt ToBigInt(const Value& value) {
  if (value.kind == Kind::kBool) return value.boolean ? 1 : 0;
  return value.kind == Kind::kInt ? value.integer : *value.big;
}

Value MakeInt(Arena& arena, BigInt value) {
  if (value >= std::numeric_limits<int64_t>::min() &&
      value <= std::numeric_limits<int64_t>::max()) {
    return Value::Int(static_cast<int64_t>(value));
  }
  Value result;
  result.kind = Kind::kBigInt;
  result.big = arena.New<BigInt>(value);
  return result;
}

double ToDouble(const Value& number) {
  return number.kind == Kind::kFloat ? number.number : static_cast<double>(ToBigInt(number));
}

void SequenceBuilder::Append(const Value& value) {
  if (arena_.Charge(sizeof(Value))) items_.push_back(value);
}

absl::StatusOr<Value> SequenceBuilder::Finish(Flavor flavor, const char* iterator_name) {
  Value* items = arena_.NewArray<Value>(items_.size());
  if (items == nullptr) return Error("out of memory");
  std::copy(items_.begin(), items_.end(), items);
  absl::StatusOr<Value> result = MakeSequence(arena_, items, items_.size(), flavor);
  if (result.ok()) result->sequence->iterator_name = iterator_name;
  return result;
}

absl::StatusOr<Value> MakeSequence(Arena& arena, const Value* items, size_t size, Flavor flavor) {
  uint16_t depth = 0;
  uint64_t weight = 1;
  bool all_hashable = true;
  for (size_t i = 0; i < size; ++i) {
    depth = std::max(depth, DepthOf(items[i]));
    weight = std::min(weight + WeightOf(items[i]), kWeightMax);
    all_hashable = all_hashable && IsHashable(items[i]);
  }
  if (depth >= kMaxValueDepth) return TooDeep();
  auto* sequence = arena.New<Sequence>();
  sequence->weight = weight;
  sequence->hashable = flavor == Flavor::kRange || flavor == Flavor::kIterator ||
                       (flavor == Flavor::kTuple && all_hashable);
  sequence->flavor = flavor;
  sequence->depth = static_cast<uint16_t>(depth + 1);
  sequence->items = items;
  sequence->size = size;
  return Value::Of(sequence);
}

void DictBuilder::Reindex() {
  size_t slots = 32;
  while (slots < entries_.size() * 4) slots *= 2;
  index_.assign(slots, 0);
  for (size_t i = 0; i < entries_.size(); ++i) {
    size_t slot = HashValue(entries_[i].key) & (slots - 1);
    while (index_[slot] != 0) slot = (slot + 1) & (slots - 1);
    index_[slot] = static_cast<uint32_t>(i + 1);
  }
}

absl::Status DictBuilder::Set(const Value& key, const Value& value) {
  if (!IsHashable(key)) return Error("unhashable type: '%s'", TypeName(key));
  if (!arena_.Charge(sizeof(DictEntry))) return Error("out of memory");
  if (index_.empty()) {
    for (DictEntry& entry : entries_) {
      if (Equal(entry.key, key)) {
        entry.value = value;
        return absl::OkStatus();
      }
    }
    entries_.push_back({key, value});
    if (entries_.size() > kUnindexedEntriesMax) Reindex();
    return absl::OkStatus();
  }
  size_t slot = HashValue(key) & (index_.size() - 1);
  for (; index_[slot] != 0; slot = (slot + 1) & (index_.size() - 1)) {
    DictEntry& entry = entries_[index_[slot] - 1];
    if (Equal(entry.key, key)) {
      entry.value = value;
      return absl::OkStatus();
    }
  }
  entries_.push_back({key, value});
  index_[slot] = static_cast<uint32_t>(entries_.size());
  if (entries_.size() * 2 > index_.size()) Reindex();
  return absl::OkStatus();
}

void DictBuilder::Append(std::string_view key, const Value& value) {
  // Keys of messages are few and literal; Set cannot fail on them but for memory.
  Set(TemplateString(arena_, key), value).IgnoreError();
}

absl::StatusOr<Value> DictBuilder::Finish() {
  auto* entries = arena_.NewArray<DictEntry>(entries_.size());
  if (entries == nullptr) return Error("out of memory");
  std::copy(entries_.begin(), entries_.end(), entries);
  auto* dict = arena_.New<Dict>();
  dict->entries = entries;
  dict->size = entries_.size();
  uint16_t depth = 0;
  for (const DictEntry& e : entries_) {
    depth = std::max({depth, DepthOf(e.key), DepthOf(e.value)});
    dict->weight = std::min(dict->weight + WeightOf(e.key) + WeightOf(e.value), kWeightMax);
  }
  if (depth >= kMaxValueDepth) return TooDeep();
  dict->depth = static_cast<uint16_t>(depth + 1);
  if (!index_.empty()) {
    auto* index = arena_.NewArray<uint32_t>(index_.size());
    if (index == nullptr) return Error("out of memory");
    std::copy(index_.begin(), index_.end(), index);
    dict->index = index;
    dict->index_size = index_.size();
  }
  return Value::Of(dict);
}

}  // namespace banyan::jinja
