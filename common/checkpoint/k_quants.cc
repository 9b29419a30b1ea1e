#include "common/checkpoint/k_quants.h"

#include <array>
#include <cstring>

#include "common/checkpoint/half_float.h"

namespace banyan {
namespace {

constexpr int kSuperBlock = 256;

float Real(int value) { return static_cast<float>(value); }

// 16 groups of 16; low nibble of a scale byte times d, high nibble times dmin: value = d s q - dmin
// m. Two-bit codes: byte l of each 32-byte part holds values l, l + 32, l + 64, l + 96 of a half.
struct BlockQ2_K {
  uint8_t scales[16];
  uint8_t qs[64];
  uint16_t d;
  uint16_t dmin;
};
// Third bits in hmask (0 means minus 4); 16 six-bit scales minus 32, packed in 12 bytes.
struct BlockQ3_K {
  uint8_t hmask[32];
  uint8_t qs[64];
  uint8_t scales[12];
  uint16_t d;
};
// 8 groups of 32; six-bit scale and minimum per group in 12 bytes: value = d s q - dmin m.
struct BlockQ4_K {
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];
  uint8_t qs[128];
};
struct BlockQ5_K {
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];
  uint8_t qh[32];
  uint8_t qs[128];
};
// 16 groups of 16 with int8 scales; codes minus 32: value = d s q.
struct BlockQ6_K {
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  uint16_t d;
};
struct BlockIQ4_NL {
  uint16_t d;
  uint8_t qs[16];
};
struct BlockIQ4_XS {
  uint16_t d;
  uint16_t scales_h;
  uint8_t scales_l[4];
  uint8_t qs[128];
};
static_assert(sizeof(BlockQ2_K) == 84 && sizeof(BlockQ3_K) == 110 && sizeof(BlockQ4_K) == 144 &&
              sizeof(BlockQ5_K) == 176 && sizeof(BlockQ6_K) == 210 && sizeof(BlockIQ4_NL) == 18 &&
              sizeof(BlockIQ4_XS) == 136);

constexpr std::array<int, 16> kIq4Values = {-127, -104, -83, -65, -49, -35, -22, -10,
                                            1,    13,   25,  38,  53,  69,  89,  113};

void Decode(const BlockQ2_K& block, float* out) {
  const float d = Float16ToFloat32(block.d);
  const float dmin = Float16ToFloat32(block.dmin);
  for (int group = 0; group < 16; ++group) {
    const float scale = d * Real(block.scales[group] & 15);
    const float minimum = dmin * Real(block.scales[group] >> 4);
    const uint8_t* q = block.qs + group / 8 * 32 + group % 2 * 16;
    const int shift = group % 8 / 2 * 2;
    for (int l = 0; l < 16; ++l) out[16 * group + l] = scale * Real((q[l] >> shift) & 3) - minimum;
  }
}

// Scale `group` of 16: four low bits in bytes 0-7 (low nibbles first), two high bits in bytes 8-11.
int ScaleQ3(const uint8_t* scales, int group) {
  const int low = group < 8 ? scales[group] & 15 : scales[group - 8] >> 4;
  return (low | ((scales[8 + group % 4] >> (group / 4 * 2)) & 3) << 4) - 32;
}

void Decode(const BlockQ3_K& block, float* out) {
  const float d = Float16ToFloat32(block.d);
  for (int group = 0; group < 16; ++group) {
    const float scale = d * Real(ScaleQ3(block.scales, group));
    const uint8_t* q = block.qs + group / 8 * 32 + group % 2 * 16;
    const uint8_t* high = block.hmask + group % 2 * 16;
    const int shift = group % 8 / 2 * 2;
    const int bit = group / 2;
    for (int l = 0; l < 16; ++l) {
      const int code = ((q[l] >> shift) & 3) - (((high[l] >> bit) & 1) != 0 ? 0 : 4);
      out[16 * group + l] = scale * Real(code);
    }
  }
}

struct ScaleMin {
  int scale;
  int minimum;
};
// Groups 0-3 lie in the low six bits of bytes 0-7; groups 4-7 in bytes 8-11 and the two bits left
// over.
ScaleMin ScaleMinK4(const uint8_t* scales, int group) {
  if (group < 4) return {scales[group] & 63, scales[group + 4] & 63};
  return {(scales[group + 4] & 15) | (scales[group - 4] >> 6) << 4,
          (scales[group + 4] >> 4) | (scales[group] >> 6) << 4};
}

void Decode(const BlockQ4_K& block, float* out) {
  const float d = Float16ToFloat32(block.d);
  const float dmin = Float16ToFloat32(block.dmin);
  for (int group = 0; group < 8; ++group) {
    const ScaleMin packed = ScaleMinK4(block.scales, group);
    const float scale = d * Real(packed.scale);
    const float minimum = dmin * Real(packed.minimum);
    const uint8_t* q = block.qs + group / 2 * 32;
    const int shift = group % 2 * 4;
    for (int l = 0; l < 32; ++l) out[32 * group + l] = scale * Real((q[l] >> shift) & 15) - minimum;
  }
}

void Decode(const BlockQ5_K& block, float* out) {
  const float d = Float16ToFloat32(block.d);
  const float dmin = Float16ToFloat32(block.dmin);
  for (int group = 0; group < 8; ++group) {
    const ScaleMin packed = ScaleMinK4(block.scales, group);
    const float scale = d * Real(packed.scale);
    const float minimum = dmin * Real(packed.minimum);
    const uint8_t* q = block.qs + group / 2 * 32;
    const int shift = group % 2 * 4;
    for (int l = 0; l < 32; ++l) {
      const int code = ((q[l] >> shift) & 15) + ((block.qh[l] >> group) & 1) * 16;
      out[32 * group + l] = scale * Real(code) - minimum;
    }
  }
}

void Decode(const BlockQ6_K& block, float* out) {
  const float d = Float16ToFloat32(block.d);
  for (int group = 0; group < 16; ++group) {
    const int half = group / 8;         // of 128 values
    const int part = group % 8 / 2;     // of 32 values
    const int offset = group % 2 * 16;  // within the part
    const uint8_t* low = block.ql + half * 64 + part % 2 * 32 + offset;
    const uint8_t* high = block.qh + half * 32 + offset;
    const float scale = d * Real(block.scales[group]);
    for (int l = 0; l < 16; ++l) {
      const int code = ((low[l] >> (part / 2 * 4)) & 15) | ((high[l] >> (part * 2)) & 3) << 4;
      out[16 * group + l] = scale * Real(code - 32);
    }
  }
}

void Decode(const BlockIQ4_NL& block, float* out) {
  const float d = Float16ToFloat32(block.d);
  for (size_t j = 0; j < 16; ++j) {
    out[j] = d * Real(kIq4Values[block.qs[j] & 15]);
    out[j + 16] = d * Real(kIq4Values[block.qs[j] >> 4]);
  }
}

void Decode(const BlockIQ4_XS& block, float* out) {
  const float d = Float16ToFloat32(block.d);
  for (int group = 0; group < 8; ++group) {
    const int low = (block.scales_l[group / 2] >> (group % 2 * 4)) & 15;
    const int high = (block.scales_h >> (2 * group)) & 3;
    const float scale = d * Real((low | high << 4) - 32);
    const uint8_t* q = block.qs + 16 * group;
    for (int j = 0; j < 16; ++j) {
      out[32 * group + j] = scale * Real(kIq4Values[q[j] & 15]);
      out[32 * group + j + 16] = scale * Real(kIq4Values[q[j] >> 4]);
    }
  }
}

template <typename Block, int kValues>
bool DecodeBlocks(const std::byte* data, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kValues) {
    Block block;
    std::memcpy(&block, data, sizeof(Block));
    Decode(block, out + i);
    data += sizeof(Block);
  }
  return true;
}

}  // namespace

bool DecodeKQuants(TensorEncoding encoding, const std::byte* data, int64_t count, float* out) {
  switch (encoding) {
    case TensorEncoding::kQ2_K:
      return DecodeBlocks<BlockQ2_K, kSuperBlock>(data, count, out);
    case TensorEncoding::kQ3_K:
      return DecodeBlocks<BlockQ3_K, kSuperBlock>(data, count, out);
    case TensorEncoding::kQ4_K:
      return DecodeBlocks<BlockQ4_K, kSuperBlock>(data, count, out);
    case TensorEncoding::kQ5_K:
      return DecodeBlocks<BlockQ5_K, kSuperBlock>(data, count, out);
    case TensorEncoding::kQ6_K:
      return DecodeBlocks<BlockQ6_K, kSuperBlock>(data, count, out);
    case TensorEncoding::kIQ4_NL:
      return DecodeBlocks<BlockIQ4_NL, 32>(data, count, out);
    case TensorEncoding::kIQ4_XS:
      return DecodeBlocks<BlockIQ4_XS, kSuperBlock>(data, count, out);
    default:
      return false;
  }
}

}  // namespace banyan
