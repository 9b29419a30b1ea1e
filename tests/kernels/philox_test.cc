#include "kernels/philox.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace banyan::kernels {
namespace {

TEST(PhiloxTest, GivesTheKnownAnswersOfItsAuthors) {
  // Known-answer vectors published with Random123 (philox4x32, 10 rounds).
  static_assert(Philox4x32({0, 0, 0, 0}, {0, 0}) ==
                PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(Philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(PhiloxTest, EveryPartOfTheKeyChangesTheBits) {
  const NoiseKey base{.seed = 7, .sample_index = 1, .position = 5};
  const PhiloxCounter bits = NoiseBits(base, 3);
  EXPECT_NE(bits,
            NoiseBits({.seed = 7 + (uint64_t{1} << 32), .sample_index = 1, .position = 5}, 3));
  EXPECT_NE(bits, NoiseBits({.seed = 8, .sample_index = 1, .position = 5}, 3));
  EXPECT_NE(bits, NoiseBits({.seed = 7, .sample_index = 2, .position = 5}, 3));
  EXPECT_NE(bits, NoiseBits({.seed = 7, .sample_index = 1, .position = 6}, 3));
  EXPECT_NE(bits,
            NoiseBits({.seed = 7, .sample_index = 1, .position = 5 + (uint64_t{1} << 32)}, 3));
  EXPECT_NE(bits, NoiseBits(base, 4));
}

TEST(PhiloxTest, NoiseOfATokenComesFromItsWordOfItsQuad) {
  const NoiseKey key{.seed = 99, .sample_index = 0, .position = 12};
  for (TokenId token : {0, 1, 2, 3, 4, 1001}) {
    const auto id = static_cast<uint32_t>(token);
    EXPECT_EQ(GumbelNoise(key, token), GumbelFromBits(NoiseBits(key, id / 4)[id % 4]));
  }
}

std::vector<uint32_t> EdgeAndRandomBits() {
  std::vector<uint32_t> bits = {0,          1,          2,          3,
                                0x55555554, 0x55555555, 0x55555556, 0x7ffffffe,
                                0x7fffffff, 0x80000000, 0x80000001, 0xaaaaaaaa,
                                0xaaaaaaab, 0xfffffffd, 0xfffffffe, 0xffffffff};
  for (uint32_t i = 0; i < 5000; ++i) {
    for (uint32_t word : Philox4x32({i, 0, 0, 0}, {1, 2})) bits.push_back(word);
  }
  for (uint32_t i = 0; i < 32; ++i) {
    bits.push_back(uint32_t{1} << i);
    bits.push_back(~(uint32_t{1} << i));
  }
  return bits;
}

TEST(PhiloxTest, ExponentialKeepsRelativePrecisionInBothTails) {
  for (uint32_t bits : EdgeAndRandomBits()) {
    const double u = (static_cast<double>(bits) + 0.5) * 0x1p-32;
    const double expected = -std::log(u);
    EXPECT_NEAR(ExponentialFromBits(bits), expected, 3e-7 * expected) << bits;
  }
}

TEST(PhiloxTest, GumbelNoiseIsMinusLogOfMinusLog) {
  for (uint32_t bits : EdgeAndRandomBits()) {
    const double u = (static_cast<double>(bits) + 0.5) * 0x1p-32;
    const double expected = -std::log(-std::log(u));
    EXPECT_NEAR(GumbelFromBits(bits), expected, 4e-7 + 2e-7 * std::abs(expected)) << bits;
    EXPECT_LT(GumbelFromBits(bits), kGumbelNoiseMax);
  }
}

TEST(PhiloxTest, NoiseHasTheMeanAndVarianceOfTheGumbelDistribution) {
  const NoiseKey key{.seed = 2024, .sample_index = 3, .position = 77};
  double sum = 0;
  double sum_squares = 0;
  constexpr int kDraws = 200'000;
  for (TokenId token = 0; token < kDraws; ++token) {
    const double g = GumbelNoise(key, token);
    sum += g;
    sum_squares += g * g;
  }
  const double mean = sum / kDraws;
  EXPECT_NEAR(mean, 0.5772157, 0.01);                                // Euler's constant
  EXPECT_NEAR(sum_squares / kDraws - mean * mean, 1.6449341, 0.03);  // pi^2 / 6
}

// Pins the bits themselves: a change of any operation in the header changes these.
TEST(PhiloxTest, NoiseBitsArePinned) {
  uint32_t digest = 0;
  const NoiseKey key{.seed = 0x0123456789abcdef, .sample_index = 2, .position = 41};
  for (TokenId token = 0; token < 4096; ++token) {
    digest = std::rotl(digest, 5) ^ std::bit_cast<uint32_t>(GumbelNoise(key, token));
  }
  EXPECT_EQ(digest, 901155549u);
}

}  // namespace
}  // namespace banyan::kernels
