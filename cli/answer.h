// One streamed answer on the client's side: the pieces put together, printed as they come or as
// JSON at the end. Used by one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "banyan/v1/inference_service.grpc.pb.h"

namespace banyan::cli {

enum class StreamTo { kNothing, kStdout };

// What one sample said.
struct AnswerSample {
  std::string text;
  std::vector<uint32_t> token_ids;
  v1::TokenLogprobs logprobs;
  v1::FinishReason finish_reason = v1::FINISH_REASON_UNSPECIFIED;
  std::string stop_string;
  uint32_t num_output_tokens = 0;
};

struct Answer {
  v1::GenerationStart start;
  std::vector<AnswerSample> samples;
  v1::Usage usage;
  v1::GenerationTiming timing;
  std::vector<v1::RoutingDecision> routing;
  std::string worker_id;
  double ttft_ms = 0;  // as seen here
  double total_ms = 0;

  // Takes in one message of the stream.
  void Add(const v1::GenerateResponse& response);
  // All of it, indented, with a final newline.
  std::string ToJson() const;
};

// Runs one Generate call. With kStdout the text of a single sample is written as it arrives (of
// several: whole, one after the other, at the end). Ctrl-C cancels the call when the process has a
// handler for it; the deadline is `timeout_s`.
absl::Status Stream(v1::InferenceService::Stub& stub, const v1::GenerateRequest& request,
                    int64_t timeout_s, StreamTo to, Answer& answer);

}  // namespace banyan::cli
