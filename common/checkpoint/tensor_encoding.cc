#include "common/checkpoint/tensor_encoding.h"

#include <array>

namespace banyan {
namespace {

struct Entry {
  TensorEncoding encoding;
  std::string_view name;
  EncodingBlock block;
  int32_t ggml_type;                   // -1: none
  std::string_view safetensors_dtype;  // empty: none
};

constexpr std::array kEntries = {
    Entry{TensorEncoding::kF32, "f32", {1, 4}, 0, "F32"},
    Entry{TensorEncoding::kF16, "f16", {1, 2}, 1, "F16"},
    Entry{TensorEncoding::kBF16, "bf16", {1, 2}, 30, "BF16"},
    Entry{TensorEncoding::kI8, "i8", {1, 1}, 24, "I8"},
    Entry{TensorEncoding::kI32, "i32", {1, 4}, 26, "I32"},
    Entry{TensorEncoding::kI64, "i64", {1, 8}, 27, "I64"},
    Entry{TensorEncoding::kF8E4M3, "f8_e4m3", {1, 1}, -1, "F8_E4M3"},
    Entry{TensorEncoding::kQ4_0, "q4_0", {32, 18}, 2, ""},
    Entry{TensorEncoding::kQ4_1, "q4_1", {32, 20}, 3, ""},
    Entry{TensorEncoding::kQ5_0, "q5_0", {32, 22}, 6, ""},
    Entry{TensorEncoding::kQ5_1, "q5_1", {32, 24}, 7, ""},
    Entry{TensorEncoding::kQ8_0, "q8_0", {32, 34}, 8, ""},
    Entry{TensorEncoding::kQ2_K, "q2_k", {256, 84}, 10, ""},
    Entry{TensorEncoding::kQ3_K, "q3_k", {256, 110}, 11, ""},
    Entry{TensorEncoding::kQ4_K, "q4_k", {256, 144}, 12, ""},
    Entry{TensorEncoding::kQ5_K, "q5_k", {256, 176}, 13, ""},
    Entry{TensorEncoding::kQ6_K, "q6_k", {256, 210}, 14, ""},
    Entry{TensorEncoding::kIQ4_NL, "iq4_nl", {32, 18}, 20, ""},
    Entry{TensorEncoding::kIQ4_XS, "iq4_xs", {256, 136}, 23, ""},
};

// The table is in the order of the enum, so that it can be indexed.
constexpr bool InOrder() {
  for (size_t i = 0; i < kEntries.size(); ++i) {
    if (static_cast<size_t>(kEntries[i].encoding) != i) return false;
  }
  return true;
}
static_assert(InOrder());

const Entry& EntryOf(TensorEncoding encoding) { return kEntries[static_cast<size_t>(encoding)]; }

}  // namespace

std::string_view TensorEncodingName(TensorEncoding encoding) { return EntryOf(encoding).name; }

EncodingBlock BlockOf(TensorEncoding encoding) { return EntryOf(encoding).block; }

std::optional<TensorEncoding> EncodingOfGgmlType(uint32_t type) {
  for (const Entry& entry : kEntries) {
    if (entry.ggml_type >= 0 && static_cast<uint32_t>(entry.ggml_type) == type)
      return entry.encoding;
  }
  return std::nullopt;
}

std::optional<TensorEncoding> EncodingOfSafetensorsDtype(std::string_view dtype) {
  for (const Entry& entry : kEntries) {
    if (!entry.safetensors_dtype.empty() && entry.safetensors_dtype == dtype) return entry.encoding;
  }
  return std::nullopt;
}

std::optional<int64_t> EncodedBytes(TensorEncoding encoding, const std::vector<int64_t>& shape) {
  const EncodingBlock block = BlockOf(encoding);
  int64_t count = 1;
  for (const int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(count, dimension, &count)) return std::nullopt;
  }
  const int64_t row = shape.empty() ? 1 : shape.back();
  int64_t bytes = 0;
  if (row % block.values != 0 ||
      __builtin_mul_overflow(count / block.values, block.bytes, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

}  // namespace banyan
