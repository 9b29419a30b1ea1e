// The tensors that an architecture must have, and may have, with their shapes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/checkpoint/checkpoint.h"

namespace banyan {

// INVALID_ARGUMENT with file, tensor, expected and found where one is missing, one is not of the
// model, a shape is another, or an encoding is none of values. `tensors` are sorted by name.
absl::Status CheckTensors(const ModelConfig& config, std::span<const TensorView> tensors,
                          std::string_view file);

// Tensors that some converters write and no model reads: recomputed rotary tables.
bool IsIgnoredTensor(std::string_view name);

}  // namespace banyan
