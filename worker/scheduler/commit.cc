// Scheduler: what the results of a step mean.
#include <algorithm>
#include <iterator>

#include "common/base/check.h"
#include "worker/sampling/sample_planner.h"
#include "worker/scheduler/scheduler.h"

namespace banyan::worker {

void Scheduler::Commit(const StepResult& result, TimePoint now) {
  std::span<const kernels::SampledToken> rows = result.tokens;
  for (size_t i = 0; i < slices_.size(); ++i) {
    const SequencePlan& plan = plan_.sequences[i];
    BANYAN_CHECK_GE(rows.size(), plan.samples.size()) << "the executor returned too few rows";
    CommitSlice(*slices_[i].sequence, plan, rows.first(plan.samples.size()), now);
    rows = rows.subspan(plan.samples.size());
  }
  BANYAN_CHECK_EQ(rows.size(), size_t{0}) << "the executor returned too many rows";
  slices_.clear();
}

void Scheduler::CommitSlice(Sequence& sequence, const SequencePlan& plan,
                            std::span<const kernels::SampledToken> rows, TimePoint now) {
  Job& job = *sequence.job;
  if (job.ended || sequence.state != SequenceState::kRunning) return;
  if (!std::ranges::all_of(rows, &kernels::SampledToken::finite)) {
    ++counters_.numeric_faults;
    EndJob(job,
           absl::InternalError("NON_FINITE_LOGITS: the model returned logits that are not finite"),
           now);
    return;
  }
  const int32_t num_new = static_cast<int32_t>(plan.new_tokens.size());
  const int32_t in_prompt = std::clamp(job.num_prompt() - sequence.num_computed, 0, num_new);
  counters_.prompt_tokens_computed += static_cast<uint64_t>(in_prompt);
  sequence.num_computed += num_new;
  IndexFullBlocks(sequence, plan.num_cached);

  const size_t num_forced = static_cast<size_t>(std::ranges::count_if(
      plan.samples, [](const SamplePlan& sample) { return sample.row.forced >= 0; }));
  for (size_t i = 0; i < num_forced; ++i) {
    AppendLogprobs(rows[i], *job.request.sampling.num_prompt_logprobs, job.prompt_logprobs);
  }
  const std::span<const kernels::SampledToken> drawn = rows.subspan(num_forced);
  if (!job.forked && sequence.num_computed == job.num_prompt()) {
    Fork(sequence, drawn, now);
  } else if (!drawn.empty()) {
    AppendDrawn(sequence, drawn.front(), now);
  }
  EndIfDone(job, now);
}

void Scheduler::IndexFullBlocks(Sequence& sequence, int32_t num_computed_before) {
  if (!sequence.findable || !cache_.is_indexed()) return;
  const size_t size = static_cast<size_t>(cache_.block_size());
  ExtendHashes(sequence, sequence.num_computed, cache_.block_size());
  const size_t end = static_cast<size_t>(sequence.num_computed) / size;
  for (size_t i = static_cast<size_t>(num_computed_before) / size; i < end; ++i) {
    FullBlock full;
    full.parent_hash = i == 0 ? sequence.job->request.cache_salt : sequence.hashes[i - 1];
    if (i > 0) full.parent = sequence.blocks[i - 1].id();
    full.hash = sequence.hashes[i];
    full.tokens = std::span(sequence.tokens).subspan(i * size, size);
    if (cache_.Insert(full, sequence.blocks[i]) == RadixCache::InsertResult::kRefused) {
      sequence.findable = false;
      return;
    }
  }
}

// The prompt is computed: every unfinished sample goes on by itself. All share the prompt's blocks,
// the partial last one too; whoever writes to it first gets a copy.
void Scheduler::Fork(Sequence& leader, std::span<const kernels::SampledToken> drawn,
                     TimePoint now) {
  Job& job = *leader.job;
  job.forked = true;
  std::vector<Sequence*> sequences;
  for (size_t i = 0; i < job.samples.size(); ++i) {
    if (job.samples[i].finish != FinishReason::kNone) continue;
    const int32_t index = static_cast<int32_t>(i);
    if (sequences.empty()) {
      leader.sample_index = index;
      sequences.push_back(&leader);
      continue;
    }
    Sequence& sequence = AddSequence(job, index);
    sequence.state = SequenceState::kRunning;
    sequence.num_computed = leader.num_computed;
    sequence.hashes = leader.hashes;
    sequence.findable = leader.findable;
    std::ranges::transform(leader.blocks, std::back_inserter(sequence.blocks),
                           [](const BlockRef& block) { return block.Share(); });
    running_.push_back(&sequence);
    sequences.push_back(&sequence);
  }
  size_t row = 0;
  for (Sequence* sequence : sequences) {
    Sample& sample = job.samples[static_cast<size_t>(sequence->sample_index)];
    if (sample.num_output > 0) {
      AppendOutputs(*sequence, sample.resumed);
    } else {
      AppendDrawn(*sequence, drawn[row++], now);
    }
  }
}

void Scheduler::AppendDrawn(Sequence& sequence, const kernels::SampledToken& drawn, TimePoint now) {
  Job& job = *sequence.job;
  if (!job.first_token.has_value()) job.first_token = now;
  ReportStart(job);
  Sample& sample = job.samples[static_cast<size_t>(sequence.sample_index)];
  SampleUpdate& update = UpdateOf(job, sequence.sample_index);
  if (update.tokens.empty()) update.first_position = sample.num_output;
  update.tokens.push_back(drawn.token);
  if (job.request.sampling.num_logprobs.has_value()) {
    AppendLogprobs(drawn, *job.request.sampling.num_logprobs, update.logprobs);
  }
  AppendOutputs(sequence, std::span(&drawn.token, 1));
  ++sample.num_output;
  ++counters_.generated_tokens;
  const FinishReason reason = job.rules.Check(drawn.token, sample.num_output);
  if (reason == FinishReason::kNone) return;
  if (reason == FinishReason::kStop) update.stop_token = drawn.token;
  FinishSample(job, sequence.sample_index, reason);
}

SampleUpdate& Scheduler::UpdateOf(Job& job, int32_t sample_index) {
  std::vector<SampleUpdate>& updates = OutboxOf(job).updates;
  const auto found = std::ranges::find(updates, sample_index, &SampleUpdate::index);
  if (found != updates.end()) return *found;
  SampleUpdate& update = updates.emplace_back();
  update.index = sample_index;
  update.first_position = job.samples[static_cast<size_t>(sample_index)].num_output;
  return update;
}

}  // namespace banyan::worker
