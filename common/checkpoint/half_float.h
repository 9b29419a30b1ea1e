// IEEE binary16 and bfloat16 to float32, exactly.
#pragma once

#include <bit>
#include <cstdint>

namespace banyan {

// Subnormals, infinities and NaN included. Free of branches, so that loops over it vectorise.
inline float Float16ToFloat32(uint16_t half) {
  const uint32_t magnitude = half & 0x7fffu;
  // Exponent and fraction moved into place are the value divided by 2^112; the product is exact.
  const float scaled = std::bit_cast<float>(magnitude << 13) * std::bit_cast<float>(0x77800000u);
  const uint32_t special = magnitude >= 0x7c00u ? 0x7f800000u : 0u;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(scaled) | special |
                              (uint32_t{half} & 0x8000u) << 16);
}

inline float BFloat16ToFloat32(uint16_t value) {
  return std::bit_cast<float>(uint32_t{value} << 16);
}

}  // namespace banyan
