#include "worker/scheduler/job.h"

#include <algorithm>
#include <tuple>

namespace banyan::worker {

Job::Job(Request taken, std::shared_ptr<RequestSink> receiver,
         std::span<const TokenId> eos_token_ids)
    : request(std::move(taken)), sink(std::move(receiver)), rules(request.sampling, eos_token_ids) {
  samples.resize(static_cast<size_t>(request.sampling.num_samples));
  for (size_t i = 0; i < request.resume.size(); ++i) {
    samples[i].resumed = request.resume[i].output;
    samples[i].num_output = static_cast<int32_t>(samples[i].resumed.size());
    if (request.resume[i].finished) {
      samples[i].finish = FinishReason::kStop;
      samples[i].end_reported = true;
    }
  }
}

int32_t Job::num_unfinished() const {
  return static_cast<int32_t>(std::ranges::count(samples, FinishReason::kNone, &Sample::finish));
}

int32_t Job::num_cacheable() const {
  if (!request.sampling.num_prompt_logprobs.has_value()) return num_prompt();
  const int32_t known = static_cast<int32_t>(prompt_logprobs.tokens.size());
  return known + 1 == num_prompt() ? num_prompt() : known;
}

RequestUsage Job::Usage() const {
  RequestUsage usage;
  usage.prompt_tokens = num_prompt();
  usage.cached_tokens = request.resumed_cached_tokens.value_or(cached_tokens.value_or(0));
  for (const Sample& sample : samples) usage.completion_tokens += sample.num_output;
  return usage;
}

RequestTiming Job::Timing(TimePoint now) const {
  RequestTiming timing;
  timing.num_preemptions = num_preemptions;
  timing.queue = first_step.value_or(now) - submitted;
  if (first_step.has_value()) timing.prefill = first_token.value_or(now) - *first_step;
  if (first_token.has_value()) timing.decode = now - *first_token;
  return timing;
}

Priority EffectivePriority(const Sequence& sequence) {
  const int priority =
      static_cast<int>(sequence.job->request.priority) - sequence.num_preemptions / 2;
  return static_cast<Priority>(std::max(priority, 0));
}

int64_t WeightOf(Priority priority) {
  switch (priority) {
    case Priority::kRealtime:
      return 16;
    case Priority::kInteractive:
      return 4;
    case Priority::kBatch:
      break;
  }
  return 1;
}

bool Outranks(const Sequence& a, const Sequence& b) {
  return std::tuple(EffectivePriority(a), a.job->born, a.id) <
         std::tuple(EffectivePriority(b), b.job->born, b.id);
}

void ExtendHashes(Sequence& sequence, int32_t num_tokens, int32_t block_size) {
  const size_t size = static_cast<size_t>(block_size);
  const size_t wanted = static_cast<size_t>(num_tokens) / size;
  while (sequence.hashes.size() < wanted) {
    const BlockHash parent =
        sequence.hashes.empty() ? sequence.job->request.cache_salt : sequence.hashes.back();
    sequence.hashes.push_back(
        HashBlock(parent, std::span(sequence.tokens).subspan(sequence.hashes.size() * size, size)));
  }
}

}  // namespace banyan::worker
