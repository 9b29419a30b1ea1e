// The noise behind every draw: a counter-based generator and its map to Gumbel noise, defined bit
// by bit, so that each backend can make the same noise for any (seed, sample, position, token) in
// any order.
//
// Philox4x32-10: Salmon, Moraes, Dror, Shaw 2011, "Parallel Random Numbers: As Easy as 1, 2, 3".
//
// Everything here is float32 or integer arithmetic made of IEEE operations that every machine
// rounds alike: +, *, conversions and fused multiply-add, written as std::fma wherever a compiler
// could contract, and no library function. A vector or device version that does the same operations
// in the same order gives the same bits. Pure functions; thread-safe.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include "common/base/token.h"

namespace banyan::kernels {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

inline constexpr int kPhiloxRounds = 10;
inline constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53;
inline constexpr uint32_t kPhiloxMultiplier1 = 0xCD9E8D57;
inline constexpr uint32_t kPhiloxKeyStep0 = 0x9E3779B9;  // golden ratio
inline constexpr uint32_t kPhiloxKeyStep1 = 0xBB67AE85;  // sqrt(3) - 1

// 128 random bits for one counter.
constexpr PhiloxCounter Philox4x32(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t product0 = uint64_t{kPhiloxMultiplier0} * counter[0];
    const uint64_t product1 = uint64_t{kPhiloxMultiplier1} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product0)};
    key[0] += kPhiloxKeyStep0;
    key[1] += kPhiloxKeyStep1;
  }
  return counter;
}

// Names the draw of one token; everything that its noise depends on besides the token id.
struct NoiseKey {
  uint64_t seed = 0;
  uint32_t sample_index = 0;
  uint64_t position = 0;  // in the sequence, of the token that is drawn
};

// The 128 bits shared by token ids 4 * quad .. 4 * quad + 3; id 4 * quad + i takes word i.
constexpr PhiloxCounter NoiseBits(const NoiseKey& key, uint32_t quad) {
  return Philox4x32({quad, key.sample_index, static_cast<uint32_t>(key.position),
                     static_cast<uint32_t>(key.position >> 32)},
                    {static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32)});
}

// log(1 + f) = f + f^2 Q(f) on [-1/3, 1/3], relative error below 1e-8 before rounding. Q is a
// Chebyshev fit, lowest power first.
inline constexpr std::array<float, 9> kLog1pPolynomial = {
    -0.5f,       0.33333272f,   -0.24999839f, 0.20007323f, -0.16678093f,
    0.14054218f, -0.122196175f, 0.13756539f,  -0.12734152f};
inline constexpr float kLn2 = 0.69314718f;
// Bits of 2/3: significands are brought to [2/3, 4/3), so that f stays small on both sides of 1.
inline constexpr uint32_t kTwoThirdsBits = 0x3F2AAAAB;

inline float Log1pSmall(float f) {
  float q = kLog1pPolynomial[8];
  for (int i = 7; i >= 0; --i) q = std::fma(q, f, kLog1pPolynomial[static_cast<size_t>(i)]);
  return std::fma(f * f, q, f);
}

// Natural logarithm of a positive normal float32, within 2 units in the last place of log1p's part.
inline float PortableLog(float x) {
  const uint32_t offset = std::bit_cast<uint32_t>(x) - kTwoThirdsBits;
  const int32_t exponent = static_cast<int32_t>(offset) >> 23;
  const float significand = std::bit_cast<float>((offset & 0x007FFFFFu) + kTwoThirdsBits);
  return std::fma(static_cast<float>(exponent), kLn2, Log1pSmall(significand - 1.0f));
}

// -log(u) for u = (bits + 1/2) / 2^32, an exponential variate in (1.1e-10, 22.9). Both tails keep
// their relative precision: with w = min(u, 1 - u), which float32 holds well,
//   u < 1/2: -log(w);   else -log(1 - w), where 1 - w is never formed for w <= 1/3.
inline float ExponentialFromBits(uint32_t bits) {
  const bool upper = (bits & 0x80000000u) != 0;
  const auto folded = static_cast<int32_t>(upper ? ~bits : bits);
  const float w = std::fma(static_cast<float>(folded), 0x1p-32f, 0x1p-33f);
  if (!upper) return -PortableLog(w);
  if (w <= 1.0f / 3.0f) return -Log1pSmall(-w);
  return kLn2 - Log1pSmall(std::fma(-2.0f, w, 1.0f));  // 1 - w = (2 - 2w) / 2
}

// Largest value of GumbelFromBits (at bits = 2^32 - 1) is below this: -log(2^-33) = 22.87.
inline constexpr float kGumbelNoiseMax = 23.0f;

// Gumbel noise g = -log(-log(u)), u = (bits + 1/2) / 2^32, in (-3.2, 22.9). Rises with bits.
inline float GumbelFromBits(uint32_t bits) { return -PortableLog(ExponentialFromBits(bits)); }

// Noise of one token id.
inline float GumbelNoise(const NoiseKey& key, TokenId token) {
  const auto id = static_cast<uint32_t>(token);
  return GumbelFromBits(NoiseBits(key, id / 4)[id % 4]);
}

}  // namespace banyan::kernels
