#include "common/checkpoint/gguf_header.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>
#include <unordered_set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/checkpoint/text_assets.h"

namespace banyan {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is read in place");

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr int kMaxDimensions = 4;
constexpr uint64_t kMaxAlignment = 1u << 20;
constexpr size_t kMaxKeyBytes = 65535;
constexpr size_t kMaxTensorNameBytes = 255;
constexpr size_t kMaxNameBytesInErrors = 100;
// A key takes 8 + 1 + 4 bytes and a value at least one more; a tensor 8 + 1 + 4 + 8 + 4 + 8.
constexpr uint64_t kMinEntryBytes = 13;
constexpr uint64_t kMinTensorBytes = 33;

std::string_view TypeName(GgufType type) {
  constexpr std::string_view kNames[] = {"uint8",  "int8",    "uint16", "int16",  "uint32",
                                         "int32",  "float32", "bool",   "string", "array",
                                         "uint64", "int64",   "float64"};
  const size_t index = static_cast<size_t>(type);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

// Bytes of one scalar; 0 for strings and arrays.
size_t ScalarBytes(GgufType type) {
  constexpr size_t kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return kBytes[static_cast<size_t>(type)];
}

bool IsKnown(uint32_t type) { return type <= static_cast<uint32_t>(GgufType::kFloat64); }

template <typename T>
T Load(const std::byte* data) {
  T value;
  std::memcpy(&value, data, sizeof(T));
  return value;
}

// Walks the header; every read is checked against what is left.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, std::string_view name) : bytes_(bytes), name_(name) {}

  uint64_t position() const { return position_; }
  uint64_t left() const { return bytes_.size() - position_; }

  template <typename T>
  absl::Status Read(T& value, std::string_view what) {
    if (left() < sizeof(T)) return Truncated(what, sizeof(T));
    value = Load<T>(bytes_.data() + position_);
    position_ += sizeof(T);
    return absl::OkStatus();
  }

  absl::Status ReadBytes(uint64_t size, std::span<const std::byte>& part, std::string_view what) {
    if (left() < size) return Truncated(what, size);
    part = bytes_.subspan(position_, size);
    position_ += size;
    return absl::OkStatus();
  }

  absl::Status ReadName(std::string_view& name, size_t bytes_max, std::string_view what) {
    BANYAN_RETURN_IF_ERROR(ReadString(name, what));
    if (!name.empty() && name.size() <= bytes_max) return absl::OkStatus();
    return Error(what, absl::StrFormat("1 to %u bytes", bytes_max),
                 absl::StrFormat("%u", name.size()));
  }

  absl::Status ReadString(std::string_view& text, std::string_view what) {
    uint64_t size = 0;
    BANYAN_RETURN_IF_ERROR(Read(size, what));
    std::span<const std::byte> part;
    BANYAN_RETURN_IF_ERROR(ReadBytes(size, part, what));
    text = {reinterpret_cast<const char*>(part.data()), part.size()};
    return absl::OkStatus();
  }

  absl::Status Error(std::string_view what, std::string_view expected,
                     std::string_view found) const {
    // Keys come from the file: any bytes, any length.
    const std::string_view shown = what.substr(0, kMaxNameBytesInErrors);
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: %s: expected %s, found %s (at byte %u)", name_,
                        absl::CHexEscape(absl::string_view(shown.data(), shown.size())), expected,
                        found, position_));
  }

 private:
  absl::Status Truncated(std::string_view what, uint64_t size) const {
    return Error(what, absl::StrFormat("%u bytes", size),
                 absl::StrFormat("%u before the end of the header", left()));
  }

  std::span<const std::byte> bytes_;
  std::string_view name_;
  uint64_t position_ = 0;
};

absl::Status ReadArray(Cursor& cursor, std::string_view key, GgufValue& value) {
  uint32_t item_type = 0;
  BANYAN_RETURN_IF_ERROR(cursor.Read(item_type, key));
  BANYAN_RETURN_IF_ERROR(cursor.Read(value.count, key));
  if (!IsKnown(item_type) || static_cast<GgufType>(item_type) == GgufType::kArray) {
    return cursor.Error(key, "an array of scalars or strings",
                        absl::StrFormat("item type %u", item_type));
  }
  value.item_type = static_cast<GgufType>(item_type);
  if (value.item_type == GgufType::kString) {
    if (value.count > cursor.left() / 8) {
      return cursor.Error(key, "strings that fit into the file",
                          absl::StrFormat("%u of them", value.count));
    }
    const uint64_t begin = cursor.position();
    const Cursor start = cursor;
    std::string_view text;
    for (uint64_t i = 0; i < value.count; ++i) BANYAN_RETURN_IF_ERROR(cursor.ReadString(text, key));
    Cursor again = start;
    return again.ReadBytes(cursor.position() - begin, value.bytes, key);
  }
  const uint64_t item_bytes = ScalarBytes(value.item_type);
  if (value.count > cursor.left() / item_bytes) {
    return cursor.Error(key, "items that fit into the file",
                        absl::StrFormat("%u of them", value.count));
  }
  return cursor.ReadBytes(value.count * item_bytes, value.bytes, key);
}

absl::Status ReadValue(Cursor& cursor, std::string_view key, GgufValue& value) {
  uint32_t type = 0;
  BANYAN_RETURN_IF_ERROR(cursor.Read(type, key));
  if (!IsKnown(type))
    return cursor.Error(key, "a value type of 0 to 12", absl::StrFormat("%u", type));
  value.type = static_cast<GgufType>(type);
  if (value.type == GgufType::kArray) return ReadArray(cursor, key, value);
  if (value.type == GgufType::kString) {
    std::string_view text;
    BANYAN_RETURN_IF_ERROR(cursor.ReadString(text, key));
    value.bytes = std::as_bytes(std::span(text));
    return absl::OkStatus();
  }
  return cursor.ReadBytes(ScalarBytes(value.type), value.bytes, key);
}

absl::Status ReadTensor(Cursor& cursor, GgufTensorInfo& tensor) {
  BANYAN_RETURN_IF_ERROR(cursor.ReadName(tensor.name, kMaxTensorNameBytes, "tensor name"));
  uint32_t num_dimensions = 0;
  BANYAN_RETURN_IF_ERROR(cursor.Read(num_dimensions, tensor.name));
  if (num_dimensions < 1 || num_dimensions > kMaxDimensions) {
    return cursor.Error(tensor.name, "1 to 4 dimensions", absl::StrFormat("%u", num_dimensions));
  }
  tensor.shape.resize(num_dimensions);
  uint64_t product = 1;
  for (uint32_t i = 0; i < num_dimensions; ++i) {
    uint64_t dimension = 0;
    BANYAN_RETURN_IF_ERROR(cursor.Read(dimension, tensor.name));
    if (dimension == 0 || __builtin_mul_overflow(product, dimension, &product) ||
        product > (uint64_t{1} << 48)) {
      return cursor.Error(tensor.name, "dimensions of at least 1 with a product of at most 2^48",
                          absl::StrFormat("dimension %u", dimension));
    }
    tensor.shape[num_dimensions - 1 - i] = static_cast<int64_t>(dimension);
  }
  BANYAN_RETURN_IF_ERROR(cursor.Read(tensor.ggml_type, tensor.name));
  return cursor.Read(tensor.offset, tensor.name);
}

// Any integer type as int64; false for other types and for what does not fit.
bool LoadInteger(GgufType type, const std::byte* data, int64_t& value) {
  switch (type) {
    case GgufType::kUint8:
      value = Load<uint8_t>(data);
      return true;
    case GgufType::kInt8:
      value = Load<int8_t>(data);
      return true;
    case GgufType::kUint16:
      value = Load<uint16_t>(data);
      return true;
    case GgufType::kInt16:
      value = Load<int16_t>(data);
      return true;
    case GgufType::kUint32:
      value = Load<uint32_t>(data);
      return true;
    case GgufType::kInt32:
      value = Load<int32_t>(data);
      return true;
    case GgufType::kInt64:
      value = Load<int64_t>(data);
      return true;
    case GgufType::kUint64:
      value = Load<int64_t>(data);
      return value >= 0;
    default:
      return false;
  }
}

}  // namespace

absl::StatusOr<GgufHeader> GgufHeader::Parse(std::span<const std::byte> bytes,
                                             std::string_view name) {
  GgufHeader header;
  header.name_ = std::string(name);
  // What a router is handed as a text asset bounds what a header may take.
  Cursor cursor(bytes.first(std::min(bytes.size(), kTextAssetBytesMax)), name);
  uint32_t magic = 0;
  uint64_t num_tensors = 0;
  uint64_t num_values = 0;
  BANYAN_RETURN_IF_ERROR(cursor.Read(magic, "magic"));
  if (magic != kMagic) {
    return cursor.Error("magic", "\"GGUF\"",
                        absl::StrFormat("0x%08x: this is no GGUF file", magic));
  }
  BANYAN_RETURN_IF_ERROR(cursor.Read(header.version_, "version"));
  if (header.version_ != 2 && header.version_ != 3) {
    return cursor.Error("version", "2 or 3", absl::StrFormat("%u", header.version_));
  }
  BANYAN_RETURN_IF_ERROR(cursor.Read(num_tensors, "tensor count"));
  BANYAN_RETURN_IF_ERROR(cursor.Read(num_values, "metadata count"));
  if (num_values > cursor.left() / kMinEntryBytes) {
    return cursor.Error("metadata count", "entries that fit into the file",
                        absl::StrFormat("%u", num_values));
  }
  header.values_.reserve(num_values);
  for (uint64_t i = 0; i < num_values; ++i) {
    std::string_view key;
    BANYAN_RETURN_IF_ERROR(cursor.ReadName(key, kMaxKeyBytes, "metadata key"));
    GgufValue value;
    BANYAN_RETURN_IF_ERROR(ReadValue(cursor, key, value));
    if (!header.values_.emplace(key, value).second)
      return cursor.Error(key, "each key once", "it twice");
  }
  if (num_tensors > cursor.left() / kMinTensorBytes) {
    return cursor.Error("tensor count", "tensors that fit into the file",
                        absl::StrFormat("%u", num_tensors));
  }
  header.tensors_.resize(num_tensors);
  std::unordered_set<std::string_view> names;
  for (GgufTensorInfo& tensor : header.tensors_) {
    BANYAN_RETURN_IF_ERROR(ReadTensor(cursor, tensor));
    if (!names.insert(tensor.name).second)
      return cursor.Error(tensor.name, "each tensor once", "it twice");
  }
  BANYAN_ASSIGN_OR_RETURN(const std::optional<int64_t> alignment,
                          header.Integer("general.alignment"));
  if (alignment.has_value()) {
    const uint64_t value = static_cast<uint64_t>(*alignment);
    if (*alignment < 1 || value > kMaxAlignment || !std::has_single_bit(value)) {
      return cursor.Error("general.alignment", "a power of two up to 1048576",
                          absl::StrFormat("%d", *alignment));
    }
    header.alignment_ = value;
  }
  header.data_offset_ =
      (cursor.position() + header.alignment_ - 1) / header.alignment_ * header.alignment_;
  return header;
}

const GgufValue* GgufHeader::Find(std::string_view key) const {
  const auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

absl::Status GgufHeader::TypeError(std::string_view key, std::string_view expected,
                                   const GgufValue& found) const {
  std::string type(TypeName(found.type));
  if (found.type == GgufType::kArray) type += absl::StrFormat(" of %s", TypeName(found.item_type));
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: %s: expected %s, found %s", name_, key, expected, type));
}

absl::StatusOr<std::optional<std::string_view>> GgufHeader::String(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kString) return TypeError(key, "a string", *value);
  return std::string_view(reinterpret_cast<const char*>(value->bytes.data()), value->bytes.size());
}

absl::StatusOr<std::optional<int64_t>> GgufHeader::Integer(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  int64_t integer = 0;
  if (!LoadInteger(value->type, value->bytes.data(), integer)) {
    return TypeError(key, "an integer below 2^63", *value);
  }
  return integer;
}

absl::StatusOr<std::optional<double>> GgufHeader::Real(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  int64_t integer = 0;
  if (value->type == GgufType::kFloat32) return Load<float>(value->bytes.data());
  if (value->type == GgufType::kFloat64) return Load<double>(value->bytes.data());
  if (!LoadInteger(value->type, value->bytes.data(), integer))
    return TypeError(key, "a number", *value);
  return static_cast<double>(integer);
}

absl::StatusOr<std::optional<bool>> GgufHeader::Bool(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kBool) return TypeError(key, "a bool", *value);
  return Load<uint8_t>(value->bytes.data()) != 0;
}

absl::StatusOr<std::optional<std::vector<std::string_view>>> GgufHeader::Strings(
    std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kArray || value->item_type != GgufType::kString) {
    return TypeError(key, "an array of strings", *value);
  }
  std::vector<std::string_view> strings;
  strings.reserve(value->count);
  const std::byte* data = value->bytes.data();
  for (uint64_t i = 0; i < value->count; ++i) {
    const uint64_t size = Load<uint64_t>(data);
    strings.emplace_back(reinterpret_cast<const char*>(data + sizeof(size)), size);
    data += sizeof(size) + size;
  }
  return strings;
}

absl::StatusOr<std::optional<std::vector<int64_t>>> GgufHeader::Integers(
    std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kArray) return TypeError(key, "an array of integers", *value);
  std::vector<int64_t> integers;
  const size_t item_bytes = ScalarBytes(value->item_type);
  for (uint64_t i = 0; i < value->count; ++i) {
    int64_t integer = 0;
    if (!LoadInteger(value->item_type, value->bytes.data() + i * item_bytes, integer)) {
      return TypeError(key, "an array of integers", *value);
    }
    integers.push_back(integer);
  }
  return integers;
}

absl::StatusOr<std::optional<std::vector<float>>> GgufHeader::Floats(std::string_view key) const {
  const GgufValue* value = Find(key);
  if (value == nullptr) return std::nullopt;
  if (value->type != GgufType::kArray || value->item_type != GgufType::kFloat32) {
    return TypeError(key, "an array of float32", *value);
  }
  std::vector<float> floats(value->count);
  std::memcpy(floats.data(), value->bytes.data(), value->bytes.size());
  return floats;
}

}  // namespace banyan
