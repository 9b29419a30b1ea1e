// Rotary position embedding: the frequencies of a model and the cos and sin tables that
// RopeKvWrite reads (Su et al. 2021, RoFormer), with the scalings that published checkpoints use.
//
//   none     f[i] = theta^(-2i / D)
//   linear   f[i] / factor (Chen et al. 2023, position interpolation)
//   llama3   long waves divided by factor, short ones kept, a ramp between (Llama 3.1 release)
//   yarn     ramp over dimensions between beta_fast and beta_slow rotations; cos and sin times the
//            attention factor, 0.1 ln(factor) + 1 where the checkpoint gives none (Peng et al.
//            2023)
//   dynamic  theta grows with the length of the sequence. Cached keys are rotated once, so the
//            length is fixed: the context length the model is served with. Served within the
//            original length, the model is unscaled.
//
// Divisors that a checkpoint lists by dimension (GGUF's rope_freqs.weight, which is how such files
// carry llama3) act on the result.
#pragma once

#include <cstdint>
#include <vector>

#include "common/checkpoint/model_config.h"

namespace banyan::worker {

struct RopeFrequencies {
  std::vector<double> inverse;  // [D / 2] radians per position
  double magnitude = 1;         // factor on cos and sin
};
// `config` has passed the checkpoint's checks: D is even, divisors are absent or [D / 2].
RopeFrequencies ComputeRopeFrequencies(const ModelConfig& config, int64_t served_context_length);

struct RopeTable {
  std::vector<float> cos;  // [num_positions, D / 2]
  std::vector<float> sin;  // [num_positions, D / 2]
};
// Angles are formed in double precision.
RopeTable MakeRopeTable(const ModelConfig& config, int64_t num_positions);

}  // namespace banyan::worker
