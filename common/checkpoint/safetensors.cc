#include "common/checkpoint/safetensors.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/checkpoint/json_reader.h"
#include "common/checkpoint/tensor_encoding.h"

namespace banyan {
namespace {

constexpr size_t kDimensionsMax = 8;
constexpr size_t kNameBytesMax = 512;

absl::Status Bad(std::string_view file, std::string_view what, std::string_view expected,
                 std::string_view found) {
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: %s: expected %s, found %s", file, what, expected, found));
}

// One entry of the header; `end` is where its data end.
absl::Status ReadEntry(const JsonObject& entry, std::string_view name,
                       std::span<const std::byte> data, TensorView& tensor) {
  tensor.name = std::string(name);
  BANYAN_ASSIGN_OR_RETURN(const std::optional<std::string_view> dtype, entry.String("dtype"));
  if (!dtype) return entry.Error("dtype", "a string", "nothing");
  const std::optional<TensorEncoding> encoding = EncodingOfSafetensorsDtype(*dtype);
  if (!encoding) return entry.Error("dtype", "F32, F16, BF16, F8_E4M3, I8, I32 or I64", *dtype);
  tensor.encoding = *encoding;

  const auto shape = entry.Find("shape");
  simdjson::dom::array dimensions;
  if (!shape || shape->get_array().get(dimensions) != simdjson::SUCCESS ||
      dimensions.size() > kDimensionsMax) {
    return entry.Error("shape", "an array of at most 8 integers",
                       shape ? JsonExcerpt(*shape) : "nothing");
  }
  for (const simdjson::dom::element dimension : dimensions) {
    int64_t value = 0;
    if (dimension.get_int64().get(value) != simdjson::SUCCESS || value < 0) {
      return entry.Error("shape", "integers of at least 0", JsonExcerpt(dimension));
    }
    tensor.shape.push_back(value);
  }

  const auto offsets = entry.Find("data_offsets");
  simdjson::dom::array pair;
  uint64_t begin = 0;
  uint64_t end = 0;
  if (!offsets || offsets->get_array().get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
      pair.at(0).get_uint64().get(begin) != simdjson::SUCCESS ||
      pair.at(1).get_uint64().get(end) != simdjson::SUCCESS || begin > end || end > data.size()) {
    return entry.Error("data_offsets",
                       absl::StrFormat("two ascending offsets of at most %u", data.size()),
                       offsets ? JsonExcerpt(*offsets) : "nothing");
  }
  const std::optional<int64_t> bytes = EncodedBytes(tensor.encoding, tensor.shape);
  if (!bytes || static_cast<uint64_t>(*bytes) != end - begin) {
    return entry.Error("data_offsets",
                       absl::StrFormat("%d bytes by dtype and shape", bytes.value_or(-1)),
                       absl::StrFormat("%u", end - begin));
  }
  tensor.data = data.subspan(begin, end - begin);
  return absl::OkStatus();
}

// Tensors fill the data: sorted by place, each begins where the one before ends.
absl::Status CheckPlaces(std::span<TensorView> tensors, std::span<const std::byte> data,
                         std::string_view file) {
  std::vector<const TensorView*> order;
  for (const TensorView& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order, [](const TensorView* a, const TensorView* b) {
    return a->data.data() != b->data.data() ? a->data.data() < b->data.data()
                                            : a->data.size() < b->data.size();
  });
  const std::byte* next = data.data();
  for (const TensorView* tensor : order) {
    if (tensor->data.data() != next) {
      return Bad(file, tensor->name, absl::StrFormat("data at offset %d", next - data.data()),
                 absl::StrFormat("%d", tensor->data.data() - data.data()));
    }
    next += tensor->data.size();
  }
  if (next != data.data() + data.size()) {
    return Bad(file, "data", absl::StrFormat("%d bytes", next - data.data()),
               absl::StrFormat("%u", data.size()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadSafetensors(std::span<const std::byte> bytes, std::string_view file,
                             std::vector<TensorView>& tensors) {
  uint64_t header_bytes = 0;
  if (bytes.size() < sizeof(header_bytes)) {
    return Bad(file, "header length", "8 bytes", absl::StrFormat("%u", bytes.size()));
  }
  std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
  const uint64_t limit =
      std::min<uint64_t>(kSafetensorsHeaderBytesMax, bytes.size() - sizeof(header_bytes));
  if (header_bytes < 2 || header_bytes > limit) {
    return Bad(file, "header length", absl::StrFormat("2 to %u", limit),
               absl::StrFormat("%u", header_bytes));
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof(header_bytes),
                              header_bytes);
  const std::span<const std::byte> data = bytes.subspan(sizeof(header_bytes) + header_bytes);
  simdjson::dom::parser parser;
  BANYAN_ASSIGN_OR_RETURN(const JsonObject header, JsonObject::Parse(parser, text, file));
  const size_t first = tensors.size();
  for (const auto& [name, value] : header.object()) {
    if (name == "__metadata__") continue;
    if (name.size() > kNameBytesMax) {
      return header.Error(name.substr(0, 64), "a name of at most 512 bytes",
                          absl::StrFormat("%u", name.size()));
    }
    simdjson::dom::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) {
      return header.Error(name, "an object", JsonExcerpt(value));
    }
    TensorView tensor;
    BANYAN_RETURN_IF_ERROR(ReadEntry(
        JsonObject(object, std::string(file), absl::StrFormat("%s.", name)), name, data, tensor));
    tensors.push_back(std::move(tensor));
  }
  return CheckPlaces(std::span(tensors).subspan(first), data, file);
}

}  // namespace banyan
