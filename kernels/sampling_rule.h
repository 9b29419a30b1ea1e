// How a row of logits becomes a token, as arithmetic that every backend repeats bit for bit. The
// rule is stated over an order and over integer sums, so it needs neither a sort nor a fixed order
// of summation; `kernels/reference/sample.cc` is its plain form.
//
//   1 raw      l[i] from the model. NaN or +infinity anywhere: finite = false, no token.
//              -infinity is allowed and never drawn.
//   2 adjust   l[i] = AdjustLogit(...) for ids with an entry; ids outside `allowed` and ids in
//              `banned` become -infinity. An adjusted +infinity or NaN: finite = false.
//   3 greedy   temperature 0: the largest l, lowest id on a tie. Done.
//   4 shift    m = max l (-infinity: finite = false); d[i] = l[i] - m; x[i] = d[i] * s with
//              s = InverseTemperature(temperature). x <= 0, and x = 0 at the maximum.
//   5 rank     ids in order of (l descending, id ascending); d is no order, for two l may round to
//              one d. Dropped for good: x = -infinity.
//   6 top_k    the first top_k of the ranking are kept (all when 0).
//   7 top_p    below 1: of the kept ones, the shortest head of the ranking whose mass reaches
//              MassNeeded(total mass of the kept, top_p). Mass is an integer, see TokenMass.
//   8 min_p    above 0: of the kept ones, those with x >= MinPThreshold(min_p).
//   9 draw     the largest DrawScore(d, s, noise), lowest id on a tie.
//
// Because x never rises along the ranking, 6 to 8 amount to one cut: a kept set is { l > c } plus
// the lowest ids of { l = c }. A fast version finds c with a histogram over x and sorts one bin
// only; and whenever DrawScore's bound d * s + kGumbelNoiseMax is below the best score so far,
// noise need not be made at all.
//
// Pure functions; thread-safe. Same rules for arithmetic as in philox.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/ops.h"
#include "kernels/philox.h"

namespace banyan::kernels {

inline constexpr float kTemperatureMin = 0.01f;

// Step 2 for one id: bias, repetition penalty, frequency penalty, presence penalty.
inline float AdjustLogit(const SamplingRow& row, const LogitAdjustment& adjustment, float logit) {
  float value = logit + adjustment.bias;
  if (adjustment.seen && row.repetition_penalty != 1.0f) {
    value = value > 0 ? value / row.repetition_penalty : value * row.repetition_penalty;
  }
  if (adjustment.output_count > 0) {
    value = std::fma(-row.frequency_penalty, static_cast<float>(adjustment.output_count), value);
    value -= row.presence_penalty;
  }
  return value;
}

// Factor on shifted logits. Temperatures in (0, 0.01) act as 0.01. `temperature` > 0.
inline float InverseTemperature(float temperature) {
  return 1.0f / std::max(temperature, kTemperatureMin);
}

// Mass of the most likely token; the sum over a vocabulary of 2^18 stays below 2^59.
inline constexpr int kMassBits = 40;

// exp(x) * 2^40 as an integer, for x <= 0: 24 significant bits, 0 below 2^-40. Integers make sums
// independent of order. exp2(f) on [-1/2, 1/2] is a Chebyshev fit of degree 6 (error 2e-8).
inline uint64_t TokenMass(float x) {
  if (x < -28.0f) return 0;  // exp(-28) < 2^-40; also -infinity
  constexpr float kLog2E = 1.44269504f;
  constexpr float kRound = 0x1.8p23f;  // adding it rounds to an integer
  const float shifted = std::fma(x, kLog2E, kRound);
  const float whole = shifted - kRound;  // in [-41, 0]
  const float f = std::fma(x, kLog2E, -whole);
  float p = 0.00015469732f;
  p = std::fma(p, f, 0.0013400433f);
  p = std::fma(p, f, 0.009618025f);
  p = std::fma(p, f, 0.05550327f);
  p = std::fma(p, f, 0.2402265f);
  p = std::fma(p, f, 0.6931472f);
  p = std::fma(p, f, 1.0f);
  // p in [0.7, 1.42): its bits up to 2^-24, then 16 more places to 2^-40.
  const auto significand = static_cast<uint64_t>(static_cast<int32_t>(p * 0x1p24f));
  return (significand << (kMassBits - 24)) >> static_cast<int>(-whole);
}

// Mass that the nucleus must reach: at least 1, at most `total`.
inline uint64_t MassNeeded(uint64_t total, float top_p) {
  const double needed = std::ceil(static_cast<double>(total) * static_cast<double>(top_p));
  const auto mass = static_cast<uint64_t>(std::max(needed, 1.0));
  return std::min(mass, total);
}

// Smallest x that min_p keeps: log(min_p). `min_p` in (0, 1].
inline float MinPThreshold(float min_p) {
  constexpr float kSmallestNormal = 0x1p-126f;
  return min_p >= 1.0f ? 0.0f : PortableLog(std::max(min_p, kSmallestNormal));
}

// Step 9's score of one surviving id, rounded once.
inline float DrawScore(float shifted_logit, float inverse_temperature, float noise) {
  return std::fma(shifted_logit, inverse_temperature, noise);
}

}  // namespace banyan::kernels
