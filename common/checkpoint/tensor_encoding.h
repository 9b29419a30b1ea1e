// Sizes of tensor encodings, and their names in both file formats.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/checkpoint/checkpoint.h"

namespace banyan {

// Values come in blocks: `values` of them take `bytes`. A row of a matrix is a whole number of
// blocks.
struct EncodingBlock {
  int64_t values = 1;
  int64_t bytes = 1;
};
EncodingBlock BlockOf(TensorEncoding encoding);

// GGML's type number (ggml.h, enum ggml_type); absent for those that Banyan does not read.
std::optional<TensorEncoding> EncodingOfGgmlType(uint32_t type);
// safetensors' dtype ("BF16"); absent for those that Banyan does not read.
std::optional<TensorEncoding> EncodingOfSafetensorsDtype(std::string_view dtype);

// Bytes of a tensor of this shape; absent where a row is no whole number of blocks or the size
// overflows.
std::optional<int64_t> EncodedBytes(TensorEncoding encoding, const std::vector<int64_t>& shape);

}  // namespace banyan
