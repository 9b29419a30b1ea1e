// Values of encoded tensors. Formats: ggml-common.h (block layouts), formulas beside each block
// below. All products and sums are single float32 operations in the order written, without
// contraction.
#include <cstring>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/checkpoint/checkpoint.h"
#include "common/checkpoint/half_float.h"
#include "common/checkpoint/k_quants.h"
#include "common/checkpoint/tensor_encoding.h"

namespace banyan {
namespace {

constexpr int kBlockValues = 32;
constexpr int kHalf = kBlockValues / 2;

// value[j] = d * (low nibble of qs[j] - 8), value[j + 16] = d * (high nibble - 8)
struct BlockQ4_0 {
  uint16_t d;
  uint8_t qs[kHalf];
};
// value = d * nibble + m
struct BlockQ4_1 {
  uint16_t d;
  uint16_t m;
  uint8_t qs[kHalf];
};
// Fifth bits in qh: bit j for value j. value = d * (q - 16)
struct BlockQ5_0 {
  uint16_t d;
  uint8_t qh[4];
  uint8_t qs[kHalf];
};
// value = d * q + m
struct BlockQ5_1 {
  uint16_t d;
  uint16_t m;
  uint8_t qh[4];
  uint8_t qs[kHalf];
};
// value = d * q
struct BlockQ8_0 {
  uint16_t d;
  int8_t qs[kBlockValues];
};
static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20 && sizeof(BlockQ5_0) == 22 &&
              sizeof(BlockQ5_1) == 24 && sizeof(BlockQ8_0) == 34);

void Decode(const BlockQ4_0& block, float* out) {
  const float d = Float16ToFloat32(block.d);
  for (int j = 0; j < kHalf; ++j) {
    out[j] = d * static_cast<float>((block.qs[j] & 15) - 8);
    out[j + kHalf] = d * static_cast<float>((block.qs[j] >> 4) - 8);
  }
}

void Decode(const BlockQ4_1& block, float* out) {
  const float d = Float16ToFloat32(block.d);
  const float m = Float16ToFloat32(block.m);
  for (int j = 0; j < kHalf; ++j) {
    out[j] = d * static_cast<float>(block.qs[j] & 15) + m;
    out[j + kHalf] = d * static_cast<float>(block.qs[j] >> 4) + m;
  }
}

// The 5-bit code of value `j` of 32.
template <typename Block>
int Code5(const Block& block, int j) {
  const int low = j < kHalf ? block.qs[j] & 15 : block.qs[j - kHalf] >> 4;
  return low | ((block.qh[j / 8] >> (j % 8)) & 1) << 4;
}

void Decode(const BlockQ5_0& block, float* out) {
  const float d = Float16ToFloat32(block.d);
  for (int j = 0; j < kBlockValues; ++j) out[j] = d * static_cast<float>(Code5(block, j) - 16);
}

void Decode(const BlockQ5_1& block, float* out) {
  const float d = Float16ToFloat32(block.d);
  const float m = Float16ToFloat32(block.m);
  for (int j = 0; j < kBlockValues; ++j) out[j] = d * static_cast<float>(Code5(block, j)) + m;
}

void Decode(const BlockQ8_0& block, float* out) {
  const float d = Float16ToFloat32(block.d);
  for (int j = 0; j < kBlockValues; ++j) out[j] = d * static_cast<float>(block.qs[j]);
}

// `count` values of consecutive blocks; the data need not be aligned.
template <typename Block, int kValues>
void DecodeBlocks(const std::byte* data, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kValues) {
    Block block;
    std::memcpy(&block, data, sizeof(Block));
    Decode(block, out + i);
    data += sizeof(Block);
  }
}

template <typename Convert>
void ConvertHalves(const std::byte* data, int64_t count, float* out, Convert convert) {
  for (int64_t i = 0; i < count; ++i) {
    uint16_t value;
    std::memcpy(&value, data + 2 * i, sizeof(value));
    out[i] = convert(value);
  }
}

// False: the encoding holds no values by itself.
bool DecodeValues(TensorEncoding encoding, const std::byte* data, int64_t count, float* out) {
  switch (encoding) {
    case TensorEncoding::kF32:
      std::memcpy(out, data, static_cast<size_t>(count) * sizeof(float));
      return true;
    case TensorEncoding::kF16:
      ConvertHalves(data, count, out, Float16ToFloat32);
      return true;
    case TensorEncoding::kBF16:
      ConvertHalves(data, count, out, BFloat16ToFloat32);
      return true;
    case TensorEncoding::kQ4_0:
      DecodeBlocks<BlockQ4_0, kBlockValues>(data, count, out);
      return true;
    case TensorEncoding::kQ4_1:
      DecodeBlocks<BlockQ4_1, kBlockValues>(data, count, out);
      return true;
    case TensorEncoding::kQ5_0:
      DecodeBlocks<BlockQ5_0, kBlockValues>(data, count, out);
      return true;
    case TensorEncoding::kQ5_1:
      DecodeBlocks<BlockQ5_1, kBlockValues>(data, count, out);
      return true;
    case TensorEncoding::kQ8_0:
      DecodeBlocks<BlockQ8_0, kBlockValues>(data, count, out);
      return true;
    default:
      return DecodeKQuants(encoding, data, count, out);
  }
}

// Where row `row` in half-split order stands in the file: a head's rows come as pairs (0, D/2), (1,
// D/2 + 1), ...
int64_t StoredRow(const TensorView& tensor, int64_t row) {
  if (tensor.row_order == RowOrder::kAsStored) return row;
  const int64_t head = row / tensor.rows_per_head;
  const int64_t within = row % tensor.rows_per_head;
  const int64_t half = tensor.rows_per_head / 2;
  return head * tensor.rows_per_head + (within < half ? 2 * within : 2 * (within - half) + 1);
}

absl::Status NotValues(const TensorView& tensor) {
  return absl::UnimplementedError(absl::StrFormat("%s: %s data are not values by themselves",
                                                  tensor.name,
                                                  TensorEncodingName(tensor.encoding)));
}

}  // namespace

absl::Status DequantizeRows(const TensorView& tensor, int64_t row_begin, int64_t row_end,
                            float* out) {
  const int64_t cols = tensor.cols();
  if (row_begin < 0 || row_end > tensor.rows() || row_begin > row_end) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: rows [%d, %d) of %d", tensor.name, row_begin, row_end, tensor.rows()));
  }
  const EncodingBlock block = BlockOf(tensor.encoding);
  const int64_t row_bytes = cols / block.values * block.bytes;
  // Runs of rows that stand in order are decoded at once.
  if (tensor.row_order == RowOrder::kAsStored) {
    return DecodeValues(tensor.encoding, tensor.data.data() + row_begin * row_bytes,
                        (row_end - row_begin) * cols, out)
               ? absl::OkStatus()
               : NotValues(tensor);
  }
  if (tensor.shape.size() == 1) {  // a bias: its elements are the rows
    std::vector<float> stored(static_cast<size_t>(cols));
    if (!DecodeValues(tensor.encoding, tensor.data.data(), cols, stored.data()))
      return NotValues(tensor);
    for (int64_t i = 0; i < (row_end - row_begin) * cols; ++i)
      out[i] = stored[static_cast<size_t>(StoredRow(tensor, i))];
    return absl::OkStatus();
  }
  for (int64_t row = row_begin; row < row_end; ++row) {
    const std::byte* data = tensor.data.data() + StoredRow(tensor, row) * row_bytes;
    if (!DecodeValues(tensor.encoding, data, cols, out + (row - row_begin) * cols))
      return NotValues(tensor);
  }
  return absl::OkStatus();
}

}  // namespace banyan
