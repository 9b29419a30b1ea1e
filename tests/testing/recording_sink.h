// A sink that keeps everything it hears and checks the order of calls. Engine thread writes; read
// it when the request has ended or from the engine thread.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <vector>

#include "common/base/check.h"
#include "worker/request/request_sink.h"

namespace banyan::testing {

class RecordingSink final : public worker::RequestSink {
 public:
  struct Sample {
    int32_t first_position = 0;  // of tokens[0]
    std::vector<TokenId> tokens;
    worker::FinishReason finish = worker::FinishReason::kNone;
    std::optional<TokenId> stop_token;
    worker::TokenLogprobs logprobs;
  };

  void OnStart(const worker::RequestUsage& first_usage,
               const worker::TokenLogprobs& first_logprobs) override {
    BANYAN_CHECK(!started && !finished) << "OnStart comes once and first";
    started = true;
    start_usage = first_usage;
    prompt_logprobs = first_logprobs;
  }

  void OnTokens(std::span<const worker::SampleUpdate> updates) override {
    BANYAN_CHECK(started && !finished);
    for (const worker::SampleUpdate& update : updates) {
      Sample& sample = samples[update.index];
      BANYAN_CHECK(sample.finish == worker::FinishReason::kNone) << "an update after the end";
      if (sample.tokens.empty()) sample.first_position = update.first_position;
      BANYAN_CHECK_EQ(update.first_position,
                      sample.first_position + static_cast<int32_t>(sample.tokens.size()))
          << "a gap or an overlap";
      sample.tokens.insert(sample.tokens.end(), update.tokens.begin(), update.tokens.end());
      sample.finish = update.finish_reason;
      sample.stop_token = update.stop_token;
      BANYAN_CHECK(update.logprobs.tokens.empty() || update.logprobs.tokens == update.tokens);
      sample.logprobs.num_top = update.logprobs.num_top;
      sample.logprobs.logprobs.insert(sample.logprobs.logprobs.end(),
                                      update.logprobs.logprobs.begin(),
                                      update.logprobs.logprobs.end());
    }
  }

  void OnFinish(const absl::Status& final_status, const worker::RequestUsage& final_usage,
                const worker::RequestTiming& final_timing) override {
    BANYAN_CHECK(!finished) << "OnFinish comes once";
    status = final_status;
    usage = final_usage;
    timing = final_timing;
    finished = true;
  }

  bool started = false;
  std::atomic<bool> finished = false;
  absl::Status status;
  worker::RequestUsage start_usage;
  worker::RequestUsage usage;
  worker::RequestTiming timing;
  worker::TokenLogprobs prompt_logprobs;
  std::map<int32_t, Sample> samples;
};

}  // namespace banyan::testing
