// GGML's K-quants and non-linear 4-bit formats: super-blocks of 256 values.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/checkpoint/checkpoint.h"

namespace banyan {

// Decodes `count` values (a multiple of the block) of Q2_K to Q6_K, IQ4_NL or IQ4_XS. False for
// other encodings.
bool DecodeKQuants(TensorEncoding encoding, const std::byte* data, int64_t count, float* out);

}  // namespace banyan
