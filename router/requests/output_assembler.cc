#include "router/requests/output_assembler.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "common/rpc/errors.h"

namespace banyan::router {
namespace {

absl::Status Broken(const std::string& what) {
  return rpc::Error(rpc::ErrorReason::kProtocolGap, "worker: " + what).ToStatus();
}

bool RowsMatch(const v1::TokenLogprobs& logprobs, int num_tokens) {
  const int64_t alternatives = int64_t{num_tokens} * logprobs.num_top();
  return logprobs.logprobs_size() == num_tokens && logprobs.token_ids_size() == num_tokens &&
         logprobs.top_token_ids_size() == alternatives &&
         logprobs.top_logprobs_size() == alternatives;
}

}  // namespace

OutputAssembler::OutputAssembler(const Tokenizer& tokenizer, OutputOptions options)
    : tokenizer_(tokenizer), options_(std::move(options)) {
  samples_.reserve(options_.num_samples);
  for (uint32_t i = 0; i < options_.num_samples; ++i) samples_.emplace_back(tokenizer, options_);
}

absl::Status OutputAssembler::CheckShape(const v1::SampleTokens& tokens) const {
  if (tokens.index() >= samples_.size()) {
    return Broken(absl::StrFormat("sample %d of %d", tokens.index(), samples_.size()));
  }
  if (options_.logprobs && !RowsMatch(tokens.logprobs(), tokens.token_ids_size())) {
    return Broken("log-probabilities do not go with their tokens");
  }
  const Sample& sample = samples_[tokens.index()];
  if (!sample.finished && tokens.first_position() > sample.num_tokens) {
    return Broken(absl::StrFormat("output position %d where %d was due", tokens.first_position(),
                                  sample.num_tokens));
  }
  return absl::OkStatus();
}

absl::Status OutputAssembler::Apply(const v1::SampleTokens& tokens, v1::GenerateResponse& out) {
  if (absl::Status status = CheckShape(tokens); !status.ok()) return status;
  Sample& sample = samples_[tokens.index()];
  if (sample.finished) return absl::OkStatus();
  v1::SampleDelta delta;
  delta.set_index(tokens.index());
  const bool ends = tokens.finish_reason() != v1::FINISH_REASON_UNSPECIFIED;
  for (int i = 0; i < tokens.token_ids_size() && !sample.finished; ++i) {
    // What a moved stream repeats was sent already.
    if (tokens.first_position() + static_cast<uint32_t>(i) < sample.num_tokens) continue;
    const uint32_t id = tokens.token_ids(i);
    const bool last = i + 1 == tokens.token_ids_size();
    ++sample.num_tokens;
    ++num_tokens_;
    if (options_.return_token_ids) delta.add_token_ids(id);
    if (options_.logprobs) AppendLogprobs(tokens.logprobs(), i, *delta.mutable_logprobs());
    const bool is_stop_token = ends && last && tokens.has_stop_token_id();
    if (is_stop_token && options_.stop_in_output == StopInOutput::kDrop) continue;
    AppendText(sample, TextOf(sample, id), delta);
    if (sample.finished && !(ends && last)) stopped_.push_back(tokens.index());
  }
  if (ends && !sample.finished) {
    AppendText(sample, sample.detokenizer.Flush(), delta);
    if (!sample.finished) {
      delta.mutable_text()->append(sample.matcher.Flush());
      if (tokens.has_stop_token_id() && options_.stop_token_ids.contains(tokens.stop_token_id())) {
        delta.set_stop_token_id(tokens.stop_token_id());
      }
      Finish(sample, tokens.finish_reason(), delta);
    }
  }
  delta.set_num_output_tokens(sample.num_tokens);
  *out.add_samples() = std::move(delta);
  return absl::OkStatus();
}

// A vocabulary may be padded: its last tokens have no text.
std::string OutputAssembler::TextOf(Sample& sample, uint32_t id) const {
  if (id >= static_cast<uint32_t>(tokenizer_.vocabulary_size())) return {};
  return sample.detokenizer.Push(static_cast<TokenId>(id));
}

void OutputAssembler::AppendText(Sample& sample, const std::string& text, v1::SampleDelta& delta) {
  const auto matches = sample.num_tokens >= options_.min_tokens ? StopMatcher::Matches::kHonour
                                                                : StopMatcher::Matches::kIgnore;
  delta.mutable_text()->append(sample.matcher.Push(text, matches));
  if (!sample.matcher.matched().has_value()) return;
  delta.set_stop_string(options_.stops[*sample.matcher.matched()]);
  Finish(sample, v1::FINISH_REASON_STOP, delta);
}

void OutputAssembler::AppendLogprobs(const v1::TokenLogprobs& from, int row,
                                     v1::TokenLogprobs& to) const {
  v1::TokenLogprobs one;
  one.set_num_top(from.num_top());
  one.add_token_ids(from.token_ids(row));
  one.add_logprobs(from.logprobs(row));
  const int num_top = static_cast<int>(from.num_top());
  for (int k = row * num_top; k < (row + 1) * num_top; ++k) {
    one.add_top_token_ids(from.top_token_ids(k));
    one.add_top_logprobs(from.top_logprobs(k));
  }
  FillTokenBytes(tokenizer_, one);
  to.MergeFrom(one);
}

void OutputAssembler::Finish(Sample& sample, v1::FinishReason reason, v1::SampleDelta& delta) {
  sample.finished = true;
  ++num_finished_;
  delta.set_finish_reason(reason);
}

std::vector<uint32_t> OutputAssembler::TakeStoppedSamples() { return std::exchange(stopped_, {}); }

void FillTokenBytes(const Tokenizer& tokenizer, v1::TokenLogprobs& logprobs) {
  const auto vocabulary_size = static_cast<uint32_t>(tokenizer.vocabulary_size());
  const auto bytes_of = [&](uint32_t id) {
    if (id >= vocabulary_size) return std::string();
    return std::string(tokenizer.TokenBytes(static_cast<TokenId>(id)));
  };
  for (const uint32_t id : logprobs.token_ids()) logprobs.add_token_bytes(bytes_of(id));
  for (const uint32_t id : logprobs.top_token_ids()) logprobs.add_top_token_bytes(bytes_of(id));
}

void MergeResponse(v1::GenerateResponse next, v1::GenerateResponse& into) {
  for (v1::SampleDelta& delta : *next.mutable_samples()) {
    v1::SampleDelta* same = nullptr;
    for (v1::SampleDelta& candidate : *into.mutable_samples()) {
      if (candidate.index() == delta.index()) same = &candidate;
    }
    if (same == nullptr) {
      *into.add_samples() = std::move(delta);
      continue;
    }
    // Texts join; repeated fields append; numbers take the later value.
    const std::string text = same->text() + delta.text();
    const uint32_t num_top = std::max(same->logprobs().num_top(), delta.logprobs().num_top());
    same->MergeFrom(delta);
    same->set_text(text);
    if (same->has_logprobs()) same->mutable_logprobs()->set_num_top(num_top);
  }
  next.clear_samples();
  into.MergeFrom(next);
}

}  // namespace banyan::router
