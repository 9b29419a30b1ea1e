// The header of a GGUF file (ggml-org's specification, versions 2 and 3): metadata and tensor
// table.
//
//   magic "GGUF" | version u32 | tensor count u64 | metadata count u64
//   metadata:  key string | type u32 | value          string = length u64, bytes; array = type u32,
//   count u64, items tensors:   name string | dimension count u32 | dimensions u64, innermost first
//   | GGML type u32 | offset u64 padding to general.alignment (default 32), then tensor data;
//   offsets count from there
//
// All integers are little-endian. Views point into the parsed bytes, which must outlive the header.
// Immutable and thread-safe after Parse. What it allocates is bounded by a small multiple of the
// header's own size: every entry takes at least 12 bytes of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace banyan {

enum class GgufType : uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
};

// A metadata value; an array's items lie behind each other in `bytes` as in the file.
struct GgufValue {
  GgufType type = GgufType::kUint8;
  GgufType item_type = GgufType::kUint8;  // of an array
  uint64_t count = 0;                     // of an array
  std::span<const std::byte> bytes;       // scalar, string content, or all items
};

struct GgufTensorInfo {
  std::string_view name;
  std::vector<int64_t> shape;  // outermost first, as the rest of Banyan has it
  uint32_t ggml_type = 0;
  uint64_t offset = 0;  // from the start of the tensor data
};

class GgufHeader {
 public:
  // `bytes` is a whole file or its head; `name` stands in errors (INVALID_ARGUMENT with key or
  // tensor, expected, found).
  static absl::StatusOr<GgufHeader> Parse(std::span<const std::byte> bytes, std::string_view name);

  uint32_t version() const { return version_; }
  // Where the tensor data begins: aligned, from the start of `bytes`; may lie past their end.
  uint64_t data_offset() const { return data_offset_; }
  uint64_t alignment() const { return alignment_; }
  std::span<const GgufTensorInfo> tensors() const { return tensors_; }
  size_t num_values() const { return values_.size(); }

  // Null when there is none of that key.
  const GgufValue* Find(std::string_view key) const;

  // Absent where the key is; INVALID_ARGUMENT where it has another type or does not fit.
  absl::StatusOr<std::optional<std::string_view>> String(std::string_view key) const;
  absl::StatusOr<std::optional<int64_t>> Integer(std::string_view key) const;  // any integer type
  absl::StatusOr<std::optional<double>> Real(std::string_view key) const;      // any number type
  absl::StatusOr<std::optional<bool>> Bool(std::string_view key) const;
  absl::StatusOr<std::optional<std::vector<std::string_view>>> Strings(std::string_view key) const;
  absl::StatusOr<std::optional<std::vector<int64_t>>> Integers(std::string_view key) const;
  absl::StatusOr<std::optional<std::vector<float>>> Floats(std::string_view key) const;

 private:
  absl::Status TypeError(std::string_view key, std::string_view expected,
                         const GgufValue& found) const;

  std::string name_;
  uint32_t version_ = 0;
  uint64_t data_offset_ = 0;
  uint64_t alignment_ = 32;
  std::unordered_map<std::string_view, GgufValue> values_;
  std::vector<GgufTensorInfo> tensors_;
};

}  // namespace banyan
