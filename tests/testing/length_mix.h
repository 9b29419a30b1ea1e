// Request lengths as chat traffic has them, for benchmarks: log-normal prompts and outputs with the
// published means of ShareGPT as vLLM uses it (Kwon et al. 2023, section 6.1: 161 prompt and 338
// output tokens on average), cut to a context.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>

namespace banyan::testing {

struct RequestLengths {
  int32_t prompt = 0;
  int32_t output = 0;
};

class LengthMix {
 public:
  LengthMix(uint64_t seed, int32_t context_length)
      : random_(seed), context_length_(context_length) {}

  RequestLengths Next() {
    RequestLengths lengths;
    lengths.prompt = Draw(161, 1.2, context_length_ / 2);
    lengths.output = Draw(338, 0.9, context_length_ / 2 - 1);
    return lengths;
  }

  // Seconds to the next arrival of a Poisson process.
  double NextGap(double per_second) {
    return std::exponential_distribution<double>(per_second)(random_);
  }

 private:
  // Log-normal with the given mean and shape, at least 1.
  int32_t Draw(double mean, double sigma, int32_t max) {
    std::lognormal_distribution<double> draw(std::log(mean) - sigma * sigma / 2, sigma);
    return std::clamp(static_cast<int32_t>(draw(random_)), 1, max);
  }

  std::mt19937_64 random_;
  const int32_t context_length_;
};

}  // namespace banyan::testing
