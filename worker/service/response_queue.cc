#include "worker/service/response_queue.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace banyan::worker {
namespace {

// The smallest log-probability that is sent: minus infinity does not occur on the wire.
constexpr float kLogprobMin = -9999;
// About what one id, or one id with its log-probability, takes on the wire.
constexpr size_t kTokenBytes = 4;
constexpr size_t kLogprobBytes = 9;

void AppendLogprobs(const TokenLogprobs& from, v1::TokenLogprobs& to) {
  to.set_num_top(static_cast<uint32_t>(from.num_top));
  for (const TokenId token : from.tokens) to.add_token_ids(static_cast<uint32_t>(token));
  for (const float logprob : from.logprobs) to.add_logprobs(std::max(logprob, kLogprobMin));
  for (const TokenId token : from.top_tokens) to.add_top_token_ids(static_cast<uint32_t>(token));
  for (const float logprob : from.top_logprobs) to.add_top_logprobs(std::max(logprob, kLogprobMin));
}

void SetUsage(const RequestUsage& usage, v1::Usage& wire) {
  wire.set_prompt_tokens(static_cast<uint32_t>(usage.prompt_tokens));
  wire.set_cached_tokens(static_cast<uint32_t>(usage.cached_tokens));
  wire.set_completion_tokens(static_cast<uint32_t>(usage.completion_tokens));
  wire.set_drafted_tokens(static_cast<uint32_t>(usage.drafted_tokens));
  wire.set_accepted_draft_tokens(static_cast<uint32_t>(usage.accepted_draft_tokens));
}

v1::FinishReason ToWire(FinishReason reason) {
  switch (reason) {
    case FinishReason::kNone:
      return v1::FINISH_REASON_UNSPECIFIED;
    case FinishReason::kStop:
      return v1::FINISH_REASON_STOP;
    case FinishReason::kLength:
      return v1::FINISH_REASON_LENGTH;
  }
  return v1::FINISH_REASON_UNSPECIFIED;
}

// The entry of this sample; its first position is that of the update that opens it.
v1::SampleTokens& EntryOf(v1::GenerateTokensResponse& message, const SampleUpdate& update) {
  for (v1::SampleTokens& sample : *message.mutable_samples()) {
    if (sample.index() == static_cast<uint32_t>(update.index)) return sample;
  }
  v1::SampleTokens& sample = *message.add_samples();
  sample.set_index(static_cast<uint32_t>(update.index));
  sample.set_first_position(static_cast<uint32_t>(update.first_position));
  return sample;
}

}  // namespace

void ResponseQueue::Start(const RequestUsage& usage, const TokenLogprobs& prompt_logprobs) {
  SetUsage(usage, *first_.mutable_usage());
  if (!prompt_logprobs.tokens.empty()) {
    AppendLogprobs(prompt_logprobs, *first_.mutable_prompt_logprobs());
  }
}

ResponseQueue::Waiting& ResponseQueue::Back() {
  if (messages_.empty() || messages_.back().bytes >= kResponseBytesTarget) {
    messages_.emplace_back();
    if (!first_sent_) {
      messages_.back().message = std::move(first_);
      first_sent_ = true;
    }
  }
  return messages_.back();
}

void ResponseQueue::AddTokens(std::span<const SampleUpdate> updates) {
  if (updates.empty()) return;
  Waiting& waiting = Back();
  for (const SampleUpdate& update : updates) {
    v1::SampleTokens& sample = EntryOf(waiting.message, update);
    BANYAN_CHECK_EQ(sample.first_position() + static_cast<uint32_t>(sample.token_ids_size()),
                    static_cast<uint32_t>(update.first_position))
        << "gap in the output of sample " << update.index;
    for (const TokenId token : update.tokens) sample.add_token_ids(static_cast<uint32_t>(token));
    if (!update.logprobs.tokens.empty())
      AppendLogprobs(update.logprobs, *sample.mutable_logprobs());
    sample.set_finish_reason(ToWire(update.finish_reason));
    if (update.stop_token.has_value()) {
      sample.set_stop_token_id(static_cast<uint32_t>(*update.stop_token));
    }
    waiting.bytes +=
        update.tokens.size() * kTokenBytes +
        (update.logprobs.tokens.size() + update.logprobs.top_tokens.size()) * kLogprobBytes;
  }
}

void ResponseQueue::End(const RequestUsage& usage, const RequestTiming& timing) {
  if (messages_.empty()) messages_.emplace_back();
  v1::GenerateTokensResponse& message = messages_.back().message;
  if (!first_sent_) {
    message = std::move(first_);
    first_sent_ = true;
  }
  SetUsage(usage, *message.mutable_usage());
  v1::GenerationTiming& wire = *message.mutable_timing();
  wire.set_queue_us(static_cast<uint64_t>(ToMicroseconds(timing.queue)));
  wire.set_prefill_us(static_cast<uint64_t>(ToMicroseconds(timing.prefill)));
  wire.set_decode_us(static_cast<uint64_t>(ToMicroseconds(timing.decode)));
  wire.set_num_preemptions(static_cast<uint32_t>(timing.num_preemptions));
}

v1::GenerateTokensResponse ResponseQueue::Pop() {
  v1::GenerateTokensResponse message = std::move(messages_.front().message);
  messages_.pop_front();
  return message;
}

}  // namespace banyan::worker
