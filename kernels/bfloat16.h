// bfloat16 as 16 raw bits: the upper half of a float32. Pure functions; thread-safe.
#pragma once

#include <bit>
#include <cstdint>

namespace banyan::kernels {

using BFloat16Bits = uint16_t;

// Rounds to nearest, ties to even. NaN stays NaN (quiet); overflow gives infinity.
constexpr BFloat16Bits BFloat16FromFloat(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<BFloat16Bits>((bits >> 16) | 0x0040u);
  return static_cast<BFloat16Bits>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

constexpr float FloatFromBFloat16(BFloat16Bits bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// The nearest value that bfloat16 holds.
constexpr float RoundToBFloat16(float value) { return FloatFromBFloat16(BFloat16FromFloat(value)); }

}  // namespace banyan::kernels
