// The values of a template: Python's None, bool, int, float, str, list, tuple, dict and the few
// objects that Jinja adds. A Value is 16 bytes and trivially copyable; what it points to lives in
// an Arena, never changes after construction (namespaces and loops excepted) and may be shared.
//
// Strings know which of their bytes users wrote (Origin): every operation on strings keeps that, so
// that at the end the spans of user text in the prompt are known exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "common/text/jinja/arena.h"
#include "common/text/tokenizer.h"

namespace banyan::jinja {

enum class Kind : uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kBigInt,  // outside of int64
  kFloat,
  kString,
  kSequence,
  kDict,
  kNamespace,
  kLoop,
  kMacro,
  kFunction,
  kCycler,
  kJoiner,
};

enum class Origin : uint8_t { kTemplate, kUser, kMixed };

using BigInt = __int128;

// A buffer that may still grow behind the last string that ends at `used`.
struct StringBuffer {
  char* data;
  size_t used;
  size_t capacity;
};

struct String {
  const char* data = nullptr;
  size_t size = 0;
  Origin origin = Origin::kTemplate;
  uint32_t num_spans = 0;
  const TextSpan* spans = nullptr;  // kMixed: user bytes, ascending, disjoint
  StringBuffer* buffer = nullptr;

  std::string_view view() const { return {data, size}; }
};

struct Sequence;
struct Dict;
struct Namespace;
struct Loop;
struct Macro;
struct Function;
struct Cycler;
struct Joiner;
struct Undefined;

struct Value {
  Kind kind = Kind::kUndefined;
  union {
    bool boolean;
    int64_t integer;
    double number;
    const BigInt* big;
    const String* string;
    Sequence* sequence;
    const Dict* dict;
    Namespace* ns;
    Loop* loop;
    const Macro* macro;
    const Function* function;
    Cycler* cycler;
    Joiner* joiner;
    const Undefined* undefined = nullptr;  // nullptr: no name known
  };

  static Value None() { return Make(Kind::kNone); }
  static Value Bool(bool b) {
    Value v = Make(Kind::kBool);
    v.boolean = b;
    return v;
  }
  static Value Int(int64_t i) {
    Value v = Make(Kind::kInt);
    v.integer = i;
    return v;
  }
  static Value Float(double d) {
    Value v = Make(Kind::kFloat);
    v.number = d;
    return v;
  }
  static Value Str(const String* s) {
    Value v = Make(Kind::kString);
    v.string = s;
    return v;
  }
  static Value Of(Sequence* s) {
    Value v = Make(Kind::kSequence);
    v.sequence = s;
    return v;
  }
  static Value Of(const Dict* d) {
    Value v = Make(Kind::kDict);
    v.dict = d;
    return v;
  }
  static Value Of(const Undefined* u) {
    Value v = Make(Kind::kUndefined);
    v.undefined = u;
    return v;
  }
  static Value Of(const Function* f) {
    Value v = Make(Kind::kFunction);
    v.function = f;
    return v;
  }

  bool is_undefined() const { return kind == Kind::kUndefined; }
  bool is_none() const { return kind == Kind::kNone; }
  bool is_string() const { return kind == Kind::kString; }
  bool is_dict() const { return kind == Kind::kDict; }
  bool is_sequence() const { return kind == Kind::kSequence; }
  // bool counts as an integer, as in Python.
  bool is_integer() const {
    return kind == Kind::kInt || kind == Kind::kBigInt || kind == Kind::kBool;
  }
  bool is_number() const { return is_integer() || kind == Kind::kFloat; }
  // Of a string.
  std::string_view text() const { return string->view(); }

 private:
  static Value Make(Kind k) {
    Value v;
    v.kind = k;
    return v;
  }
};

// Why a value is undefined; made into a message only when somebody asks.
struct Undefined {
  enum class Reason : uint8_t { kName, kAttribute, kElement, kParameter, kUnsafe, kText };
  Reason reason = Reason::kName;
  const char* owner = "";  // type of the object that lacks it
  std::string_view name;   // name or key, lives as long as the template or rendering
};
std::string UndefinedMessage(const Value& value);

enum class Flavor : uint8_t {
  kList,
  kTuple,
  kRange,
  kDictKeys,
  kDictValues,
  kDictItems,
  kIterator,  // what map, select and the like give: can be read once
};

struct Sequence {
  Flavor flavor = Flavor::kList;
  uint16_t depth = 1;  // of nesting, at most kMaxValueDepth: bounds every recursion over values
  bool hashable = false;
  bool consumed = false;
  bool is_group = false;  // of groupby: its two items are also called grouper and list
  const Value* items = nullptr;
  size_t size = 0;
  uint64_t weight = 1;
  const char* iterator_name = "generator";
};

struct DictEntry {
  Value key;
  Value value;
};

struct Dict {
  const DictEntry* entries = nullptr;
  size_t size = 0;
  uint64_t weight = 1;
  uint16_t depth = 1;
  // Open addressing over entry numbers + 1, a power of two; nullptr for small dicts.
  const uint32_t* index = nullptr;
  size_t index_size = 0;

  // nullptr if absent. `key` must be hashable.
  const Value* Find(const Value& key) const;
  const Value* Find(std::string_view key) const;
};

inline constexpr uint16_t kMaxValueDepth = 100;

struct Namespace {
  struct Slot {
    std::string_view name;
    Value value;
    Slot* next;
  };
  Slot* first = nullptr;

  const Value* Find(std::string_view name) const;
  void Set(Arena& arena, std::string_view name, const Value& value);
};

struct Cycler {
  const Value* items;
  size_t size;
  size_t position;
};

struct Joiner {
  const String* separator;
  bool used;
};

struct CallArgs {
  absl::InlinedVector<Value, 4> positional;
  absl::InlinedVector<std::pair<std::string_view, Value>, 2> named;

  // The argument at `position` or called `name`; nullptr if not given.
  const Value* Find(size_t position, std::string_view name) const;
  const Value* FindNamed(std::string_view name) const;
};

class Interpreter;
// A filter (self: the piped value), test, method (self: the object) or global function.
using NativeFunction = absl::StatusOr<Value> (*)(Interpreter&, const Value& self, const CallArgs&);

struct Function {
  std::string_view name;
  NativeFunction call;
  Value self;
};

// Python's name of the type: "str", "NoneType".
const char* TypeName(const Value& value);
bool IsTrue(const Value& value);
// ==, as Python: 1 == 1.0 == True; lists, tuples and dicts by content.
bool Equal(const Value& a, const Value& b);
bool IsHashable(const Value& value);
// Of a hashable value; equal values have equal hashes.
size_t HashValue(const Value& value);
// Bytes that comparing or hashing `value` may look at, parts that are shared counted each time they
// are met; callers charge it as work before they do.
size_t WorkBytes(const Value& value);
// Of an integer or bool.
BigInt ToBigInt(const Value& value);
Value MakeInt(Arena& arena, BigInt value);
double ToDouble(const Value& number);

// INVALID_ARGUMENT with the cause; the interpreter adds the line.
template <typename... Args>
absl::Status Error(const absl::FormatSpec<Args...>& format, const Args&... args) {
  return absl::InvalidArgumentError(absl::StrFormat(format, args...));
}

const String* NewString(Arena& arena, std::string_view text, Origin origin);  // copies
Value TemplateString(Arena& arena, std::string_view text);                    // copies
// Shares the bytes of `s`. Needs begin <= end <= size.
const String* Slice(Arena& arena, const String& s, size_t begin, size_t end);
const String* Concat(Arena& arena, const String& a, const String& b);
// Whether the byte at `offset` was written by a user.
bool IsUserByte(const String& s, size_t offset);

// Collects items; Finish gives the sequence. Stops taking items when the arena is exceeded.
class SequenceBuilder {
 public:
  explicit SequenceBuilder(Arena& arena) : arena_(arena) {}
  void Append(const Value& value);
  size_t size() const { return items_.size(); }
  bool full() const { return arena_.exceeded(); }
  absl::StatusOr<Value> Finish(Flavor flavor = Flavor::kList,
                               const char* iterator_name = "generator");

 private:
  Arena& arena_;
  std::vector<Value> items_;
};

// Items that already lie in the arena.
absl::StatusOr<Value> MakeSequence(Arena& arena, const Value* items, size_t size, Flavor flavor);

class DictBuilder {
 public:
  explicit DictBuilder(Arena& arena) : arena_(arena) {}
  // A later value of an equal key replaces the earlier one in its place, as in Python. Unhashable
  // keys are errors.
  absl::Status Set(const Value& key, const Value& value);
  // For keys known to be new.
  void Append(std::string_view key, const Value& value);
  absl::StatusOr<Value> Finish();

 private:
  void Reindex();

  Arena& arena_;
  std::vector<DictEntry> entries_;
  std::vector<uint32_t> index_;
};

}  // namespace banyan::jinja
