// Turns a worker's tokens into what the client sees: text in whole characters, stop strings found
// and held back, log-probs with token bytes, tokens counted. Continuity of positions is checked:
// what was seen is dropped, a gap is an error.
//
// One per request; one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "banyan/v1/inference_service.pb.h"
#include "banyan/v1/worker_service.pb.h"
#include "common/text/detokenizer.h"
#include "common/text/tokenizer.h"
#include "router/requests/stop_matcher.h"

namespace banyan::router {

struct OutputOptions {
  uint32_t num_samples = 1;
  SpecialTokensInOutput special = SpecialTokensInOutput::kDrop;
  StopInOutput stop_in_output = StopInOutput::kDrop;
  std::vector<std::string> stops = {};
  std::set<uint32_t> stop_token_ids = {};  // the request's own
  uint32_t min_tokens = 0;
  bool return_token_ids = false;
  bool logprobs = false;
};

class OutputAssembler {
 public:
  // `tokenizer` must outlive this.
  OutputAssembler(const Tokenizer& tokenizer, OutputOptions options);

  // Adds what `tokens` brings to `out`. INTERNAL with PROTOCOL_GAP when the worker broke the
  // protocol.
  absl::Status Apply(const v1::SampleTokens& tokens, v1::GenerateResponse& out);

  // Samples that a stop string ended since the last call, and that the worker still runs.
  std::vector<uint32_t> TakeStoppedSamples();

  bool started() const { return num_tokens_ > 0; }
  bool finished() const { return num_finished_ == samples_.size(); }
  // Of all samples, up to and including the token that ended each.
  uint32_t num_tokens() const { return num_tokens_; }
  uint32_t num_tokens(uint32_t index) const { return samples_[index].num_tokens; }

 private:
  struct Sample {
    Sample(const Tokenizer& tokenizer, const OutputOptions& options)
        : detokenizer(tokenizer, options.special), matcher(options.stops, options.stop_in_output) {}
    Detokenizer detokenizer;
    StopMatcher matcher;
    uint32_t num_tokens = 0;
    bool finished = false;
  };

  absl::Status CheckShape(const v1::SampleTokens& tokens) const;
  std::string TextOf(Sample& sample, uint32_t id) const;
  void AppendText(Sample& sample, const std::string& text, v1::SampleDelta& delta);
  void AppendLogprobs(const v1::TokenLogprobs& from, int row, v1::TokenLogprobs& to) const;
  void Finish(Sample& sample, v1::FinishReason reason, v1::SampleDelta& delta);

  const Tokenizer& tokenizer_;
  const OutputOptions options_;
  std::vector<Sample> samples_;
  std::vector<uint32_t> stopped_;
  uint32_t num_tokens_ = 0;
  size_t num_finished_ = 0;
};

// Appends the bytes of each token of `logprobs`; ids without a token have none.
void FillTokenBytes(const Tokenizer& tokenizer, v1::TokenLogprobs& logprobs);

// Joins `next` onto `into`, which come one after the other in a stream.
void MergeResponse(v1::GenerateResponse next, v1::GenerateResponse& into);

}  // namespace banyan::router
