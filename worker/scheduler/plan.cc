// Scheduler: what a step computes, and whose blocks are taken for it.
#include <algorithm>

#include "common/base/check.h"
#include "worker/sampling/sample_planner.h"
#include "worker/scheduler/scheduler.h"

namespace banyan::worker {

const StepPlan& Scheduler::Plan(TimePoint now) {
  ended_.clear();
  slices_.clear();
  ++step_;
  tokens_left_ = options_.max_step_tokens;
  stalled_ = false;
  std::ranges::sort(running_,
                    [](const Sequence* a, const Sequence* b) { return Outranks(*a, *b); });
  plan_ = StepPlan{};
  PlanDecodes();
  PlanPrefills(now);
  WritePlan(now);
  return plan_;
}

// Past its prefill: exactly the token drawn last is left to compute.
bool Scheduler::IsDecode(const Sequence& sequence) const {
  return sequence.job->forked && sequence.remaining() == 1 &&
         sequence.num_tokens() > sequence.num_prompt();
}

void Scheduler::PlanDecodes() {
  const std::vector<Sequence*> ranked = running_;  // preemption changes running_
  for (Sequence* sequence : ranked) {
    if (sequence->state != SequenceState::kRunning || !IsDecode(*sequence)) continue;
    if (!EnsureBlocks(*sequence, 1)) {
      stalled_ = true;
      continue;
    }
    sequence->planned_step = step_;
    slices_.push_back({sequence, 1});
    --tokens_left_;
  }
}

void Scheduler::PlanPrefills(TimePoint now) {
  std::vector<Sequence*> prefills;
  for (Sequence* sequence : running_) {
    if (!IsDecode(*sequence)) prefills.push_back(sequence);
  }
  for (size_t i = 0; i < prefills.size(); ++i) {
    if (prefills[i]->state != SequenceState::kRunning) continue;
    PlanPrefill(*prefills[i], i + 1 < prefills.size() || !waiting_.empty());
  }
  Admit(now);
  SpendLeftover();
}

// A long prefill leaves half of the budget to those behind it, so that they need not wait for all
// of it; short ones are served in order, which gives the lowest mean.
int32_t Scheduler::PrefillShare(const Sequence& sequence, bool others_wait) const {
  const bool is_long = sequence.remaining() / kLongPrefillSteps > options_.max_step_tokens;
  const int32_t budget = is_long && others_wait ? (tokens_left_ + 1) / 2 : tokens_left_;
  return std::min(sequence.remaining(), budget);
}

void Scheduler::PlanPrefill(Sequence& sequence, bool others_wait) {
  int32_t num_new = PrefillShare(sequence, others_wait);
  if (num_new == 0) return;
  if (BlocksMissing(sequence, num_new) > cache_.num_available()) {
    // Memory is short: others are preempted for one block at most, then what is there is used.
    stalled_ = true;
    if (!EnsureBlocks(sequence, 1)) return;
    const int32_t room =
        static_cast<int32_t>(sequence.blocks.size()) * cache_.block_size() - sequence.num_computed;
    num_new = std::min(num_new, room + cache_.num_available() * cache_.block_size());
  }
  BANYAN_CHECK(EnsureBlocks(sequence, num_new));
  sequence.planned_step = step_;
  slices_.push_back({&sequence, num_new});
  tokens_left_ -= num_new;
}

// Gives what nobody wanted to the prefills that could use it, in rank order.
void Scheduler::SpendLeftover() {
  for (Slice& slice : slices_) {
    const int32_t extra =
        std::min(slice.sequence->remaining() - slice.num_new_tokens, tokens_left_);
    if (extra <= 0 || stalled_) continue;
    if (BlocksMissing(*slice.sequence, slice.num_new_tokens + extra) > cache_.num_available()) {
      continue;
    }
    BANYAN_CHECK(EnsureBlocks(*slice.sequence, slice.num_new_tokens + extra));
    slice.num_new_tokens += extra;
    tokens_left_ -= extra;
  }
}

// Blocks to allocate before the sequence can write num_new_tokens, a private copy of a shared last
// block included.
int32_t Scheduler::BlocksMissing(const Sequence& sequence, int32_t num_new_tokens) const {
  const int32_t size = cache_.block_size();
  const int32_t held = static_cast<int32_t>(sequence.blocks.size());
  int32_t missing = BlocksFor(sequence.num_computed + num_new_tokens) - held;
  const int32_t first_written = sequence.num_computed / size;
  if (first_written < held &&
      cache_.NumHolders(sequence.blocks[static_cast<size_t>(first_written)]) > 1) {
    ++missing;
  }
  return missing;
}

// Makes the blocks for num_new_tokens writable, preempting lower-ranked sequences where needed.
// False, with nothing allocated, when that is not enough.
bool Scheduler::EnsureBlocks(Sequence& sequence, int32_t num_new_tokens) {
  while (BlocksMissing(sequence, num_new_tokens) > cache_.num_available()) {
    if (!PreemptBelow(sequence)) return false;
  }
  const int32_t size = cache_.block_size();
  const size_t first_written = static_cast<size_t>(sequence.num_computed / size);
  if (first_written < sequence.blocks.size() &&
      cache_.NumHolders(sequence.blocks[first_written]) > 1) {
    BlockRef copy = *cache_.Allocate();
    plan_.copies.push_back({sequence.blocks[first_written].id(), copy.id()});
    sequence.blocks[first_written] = std::move(copy);
  }
  const size_t wanted = static_cast<size_t>(BlocksFor(sequence.num_computed + num_new_tokens));
  while (sequence.blocks.size() < wanted) sequence.blocks.push_back(*cache_.Allocate());
  return true;
}

// Preempts the lowest-ranked sequence below `sequence` that is not part of this step.
bool Scheduler::PreemptBelow(const Sequence& sequence) {
  Sequence* victim = nullptr;
  for (Sequence* candidate : running_) {
    if (candidate->planned_step == step_ || !Outranks(sequence, *candidate)) continue;
    if (victim == nullptr || Outranks(*victim, *candidate)) victim = candidate;
  }
  if (victim == nullptr) return false;
  Preempt(*victim);
  return true;
}

void Scheduler::Preempt(Sequence& victim) {
  std::erase(running_, &victim);
  ReleaseBlocks(victim.blocks);
  victim.state = SequenceState::kWaiting;
  victim.num_computed = 0;
  victim.findable = true;
  victim.uncached_estimate = 0;  // it is found again unless it is evicted
  ++victim.num_preemptions;
  ++victim.job->num_preemptions;
  ++counters_.preemptions;
  stalled_ = true;  // nobody is admitted into memory that was just taken
  waiting_.push_back(&victim);
}

void Scheduler::WritePlan(TimePoint now) {
  plan_.step = step_;
  shape_ = StepShape{};
  for (const Slice& slice : slices_) {
    Sequence& sequence = *slice.sequence;
    if (!sequence.job->first_step.has_value()) sequence.job->first_step = now;
    if (IsDecode(sequence)) {
      ++shape_.decode_tokens;
      shape_.decode_kv_tokens += sequence.num_tokens();
    } else {
      shape_.prefill_tokens += slice.num_new_tokens;
    }
    SequencePlan& plan = plan_.sequences.emplace_back();
    plan.sequence = sequence.id;
    plan.num_cached = sequence.num_computed;
    const auto begin = sequence.tokens.begin() + sequence.num_computed;
    plan.new_tokens.assign(begin, begin + slice.num_new_tokens);
    for (const BlockRef& block : sequence.blocks) plan.block_table.push_back(block.id());
    plan_.num_tokens += slice.num_new_tokens;
    WriteRows(sequence, plan);
  }
  BANYAN_CHECK_LE(plan_.num_tokens, options_.max_step_tokens);
}

// Rows to draw from: log-probabilities of prompt tokens not yet known, and the next token of each
// sample where the plan reaches the end of what is known.
void Scheduler::WriteRows(const Sequence& sequence, SequencePlan& plan) const {
  const Job& job = *sequence.job;
  const SamplingParams& params = job.request.sampling;
  const int32_t num_new = static_cast<int32_t>(plan.new_tokens.size());
  const int32_t end = plan.num_cached + num_new;
  if (params.num_prompt_logprobs.has_value() && !job.started) {
    const int32_t known = static_cast<int32_t>(job.prompt_logprobs.tokens.size());
    for (int32_t p = std::max(plan.num_cached, known); p < std::min(end, job.num_prompt() - 1);
         ++p) {
      plan.samples.push_back(PlanPromptLogprob(params, p - plan.num_cached,
                                               job.request.prompt[static_cast<size_t>(p) + 1]));
    }
  }
  if (end != sequence.num_tokens()) return;
  DrawSite site;
  site.new_token = num_new - 1;
  site.position = static_cast<uint64_t>(end);
  for (size_t i = 0; i < job.samples.size(); ++i) {
    const Sample& sample = job.samples[i];
    const bool draws = job.forked ? static_cast<int32_t>(i) == sequence.sample_index
                                  : sample.finish == FinishReason::kNone && sample.num_output == 0;
    if (!draws) continue;
    site.sample_index = static_cast<uint32_t>(i);
    site.num_output = sample.num_output;
    plan.samples.push_back(PlanDraw(params, job.rules, sequence.history, site));
  }
}

}  // namespace banyan::worker
