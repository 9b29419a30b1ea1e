#include "worker/model/model_options.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"

namespace banyan::worker {
namespace {

absl::Status CheckRange(const char* name, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is %d, must be in [%d, %d]", name, value, low, high));
}

}  // namespace

int64_t MaxContextLength(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.type == RopeScalingType::kNone || scaling.type == RopeScalingType::kLlama3) {
    return std::min<int64_t>(config.context_length, kContextTokensMax);
  }
  const int64_t original =
      scaling.original_context_length > 0 ? scaling.original_context_length : config.context_length;
  const double stretched = std::floor(static_cast<double>(original) * scaling.factor);
  const double longest = std::max(stretched, static_cast<double>(config.context_length));
  return static_cast<int64_t>(std::min(longest, static_cast<double>(kContextTokensMax)));
}

absl::StatusOr<ModelOptions> ResolveOptions(const ModelConfig& config, ModelOptions options) {
  if (options.context_length == 0) {
    options.context_length =
        static_cast<int32_t>(std::min<int64_t>(config.context_length, kContextTokensMax));
  }
  BANYAN_RETURN_IF_ERROR(
      CheckRange("context_length", options.context_length, 1, MaxContextLength(config)));
  BANYAN_RETURN_IF_ERROR(CheckRange("max_step_tokens", options.max_step_tokens, 1, 65536));
  BANYAN_RETURN_IF_ERROR(CheckRange("max_sequences", options.max_sequences, 1, 4096));
  BANYAN_RETURN_IF_ERROR(CheckRange("block_size", options.block_size, 1, 256));
  BANYAN_RETURN_IF_ERROR(CheckRange("max_logit_rows", options.max_logit_rows, 1, 4096));
  return options;
}

}  // namespace banyan::worker
