// From the wire to the engine: validates every field of a GenerateTokensRequest again (a worker
// trusts no router) and resolves every default. Pure and thread-safe; works on hostile bytes.
//
// Errors name field, what is wrong, limit and value, never token ids of the prompt. All violations
// up to 16 come back at once.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "banyan/v1/worker_service.pb.h"
#include "common/checkpoint/model_config.h"
#include "worker/request/request.h"

namespace banyan::worker {

// What a request is measured against; constant while the process lives.
struct ConversionLimits {
  std::string model_fingerprint;
  int32_t context_length = 0;   // tokens of one sequence
  int32_t vocabulary_size = 0;  // V
  int32_t num_samples_max = 16;
  GenerationDefaults defaults = {};  // the model's own
};

// Bounds that do not depend on the model.
inline constexpr uint64_t kWaitedUsMax = 86'400'000'000;  // one day
inline constexpr uint32_t kResumeAttemptMax = 1'000;

// The engine's request, without a deadline (that comes from the call). Errors: INVALID_ARGUMENT
// with reason INVALID_FIELD or CONTEXT_LENGTH_EXCEEDED and BadRequest; FAILED_PRECONDITION
// (MODEL_MISMATCH); UNIMPLEMENTED (CONSTRAINTS_UNSUPPORTED).
absl::StatusOr<Request> ConvertRequest(const v1::GenerateTokensRequest& wire,
                                       const ConversionLimits& limits);

// The model's sampling defaults without those that no request could ask for; each dropped one is
// logged.
GenerationDefaults UsableDefaults(const GenerationDefaults& defaults);

}  // namespace banyan::worker
