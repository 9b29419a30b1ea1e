// The ranges of request fields that router and worker both check (proto/banyan/v1/sampling.proto
// and inference_service.proto say what the fields mean): one table, so that no request passes the
// one and fails the other.
#pragma once

#include <cstdint>

namespace banyan::rpc {

inline constexpr float kTemperatureMax = 10;
inline constexpr float kPenaltyMax = 2;  // of presence and frequency, also its negative
inline constexpr float kRepetitionPenaltyMax = 10;
inline constexpr float kLogitBiasMax = 100;  // also its negative
inline constexpr int kLogitBiasEntriesMax = 1'024;
inline constexpr int kAllowedTokensMax = 4'096;
inline constexpr int kStopTokensMax = 64;
inline constexpr int kSamplesMax = 16;
inline constexpr int kLogprobsMax = 20;
inline constexpr int64_t kQueueMsMax = 3'600'000;  // one hour

}  // namespace banyan::rpc
