// Hugging Face's safetensors: u64 length of the header (little-endian), JSON header, tensor data.
//
//   {"NAME": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [begin, end]}, ..., "__metadata__":
//   {...}}
//
// Offsets count from the end of the header; tensors fill the data without holes or overlap.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/checkpoint/checkpoint.h"

namespace banyan {

// The format's own bound.
inline constexpr size_t kSafetensorsHeaderBytesMax = 100u << 20;

// Appends the tensors of one file, whose bytes the views point into. INVALID_ARGUMENT with file,
// tensor, expected, found.
absl::Status ReadSafetensors(std::span<const std::byte> bytes, std::string_view file,
                             std::vector<TensorView>& tensors);

}  // namespace banyan
