// Scheduler: which waiting sequences start to run.
#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "worker/scheduler/scheduler.h"

namespace banyan::worker {

void Scheduler::Admit(TimePoint now) {
  if (waiting_.empty() || stalled_ || tokens_left_ == 0) return;
  // Age times weight: the longer a request waits, the less its class matters.
  const auto score = [now](const Sequence* sequence) {
    return WeightOf(EffectivePriority(*sequence)) * (now - sequence->job->born).count();
  };
  std::ranges::sort(waiting_, [&](const Sequence* a, const Sequence* b) {
    return std::pair(score(b), a->id) < std::pair(score(a), b->id);
  });
  const size_t num_scanned = std::min(waiting_.size(), static_cast<size_t>(kAdmissionScanMax));
  const std::vector<Sequence*> ranked(waiting_.begin(),
                                      waiting_.begin() + static_cast<ptrdiff_t>(num_scanned));
  Sequence* blocked = nullptr;  // the first that did not fit
  for (Sequence* sequence : ranked) {
    if (tokens_left_ == 0) return;
    const Verdict verdict = Judge(*sequence);
    if (verdict == Verdict::kDeferred) continue;
    if (verdict == Verdict::kBlocked) {
      if (blocked != nullptr) continue;
      if (sequence->num_bypassed >= kBypassMax) return;
      blocked = sequence;
      continue;
    }
    if (blocked != nullptr) {
      if (blocked->num_bypassed >= kBypassMax) return;
      ++blocked->num_bypassed;
    }
    StartRunning(*sequence);
    PlanPrefill(*sequence, !waiting_.empty());
  }
}

// Whether the sequence can start now. Counts only blocks that the cache does not hold yet, and
// keeps free what running prefills still need and one block for each running sequence to grow into.
Scheduler::Verdict Scheduler::Judge(Sequence& sequence) {
  const PrefixHit hit = cache_.Peek(KeyOf(sequence));
  sequence.uncached_estimate =
      sequence.num_tokens() - int64_t{hit.num_blocks} * cache_.block_size();
  if (IsBeingComputed(sequence, hit.num_blocks)) return Verdict::kDeferred;
  if (SlotsUsed() + SlotsOf(sequence) > options_.max_running_sequences) return Verdict::kBlocked;
  const int32_t needed = BlocksFor(sequence.num_tokens()) - hit.num_blocks + hit.num_idle;
  const int32_t kept_free =
      running_.empty() ? 0 : BlocksReserved() + static_cast<int32_t>(running_.size());
  return needed + kept_free <= cache_.num_available() ? Verdict::kAdmit : Verdict::kBlocked;
}

void Scheduler::StartRunning(Sequence& sequence) {
  Job& job = *sequence.job;
  std::erase(waiting_, &sequence);
  running_.push_back(&sequence);
  sequence.state = SequenceState::kRunning;
  sequence.blocks = cache_.Match(KeyOf(sequence));
  sequence.num_computed = static_cast<int32_t>(sequence.blocks.size()) * cache_.block_size();
  counters_.prefix_lookup_tokens += static_cast<uint64_t>(sequence.num_tokens());
  counters_.prefix_hit_tokens += static_cast<uint64_t>(sequence.num_computed);
  if (!job.cached_tokens.has_value()) {
    job.cached_tokens = std::min(sequence.num_computed, job.num_prompt());
    counters_.prompt_tokens_cached += static_cast<uint64_t>(*job.cached_tokens);
  }
}

// The blocks it may take from the cache: at least its last token is computed, for the logits after
// it.
PrefixKey Scheduler::KeyOf(Sequence& sequence) const {
  ExtendHashes(sequence, sequence.num_tokens(), cache_.block_size());
  int32_t num_tokens = sequence.num_tokens() - 1;
  const Job& job = *sequence.job;
  if (job.num_cacheable() < job.num_prompt() && !job.started) {
    num_tokens = std::min(num_tokens, job.num_cacheable());
  }
  const size_t num_blocks = static_cast<size_t>(num_tokens / cache_.block_size());
  return {job.request.cache_salt, std::span(sequence.hashes).first(num_blocks), sequence.tokens};
}

// True when the next block it misses is in the prefill of a sequence that runs in this step and is
// not of a lower class: waiting for it costs less than computing it twice. Chained hashes make one
// comparison stand for the whole prefix.
bool Scheduler::IsBeingComputed(const Sequence& sequence, int32_t num_found) const {
  const size_t next = static_cast<size_t>(num_found);
  const Job& job = *sequence.job;
  const bool may_hit = job.num_cacheable() == job.num_prompt() || job.started;
  const size_t num_usable = static_cast<size_t>((sequence.num_tokens() - 1) / cache_.block_size());
  if (!may_hit || !cache_.is_indexed() || next >= num_usable) return false;
  return std::ranges::any_of(slices_, [&](const Slice& slice) {
    const Sequence& other = *slice.sequence;
    return other.findable && next < other.hashes.size() &&
           other.num_computed <= num_found * cache_.block_size() &&
           other.hashes[next] == sequence.hashes[next] &&
           EffectivePriority(other) <= EffectivePriority(sequence);
  });
}

// Blocks that running prefills still have to allocate, forks included.
int32_t Scheduler::BlocksReserved() const {
  int32_t blocks = 0;
  for (const Sequence* sequence : running_) {
    blocks += std::max(
        0, BlocksFor(sequence->num_tokens()) - static_cast<int32_t>(sequence->blocks.size()));
    blocks += SlotsOf(*sequence) - 1;
  }
  return blocks;
}

int32_t Scheduler::SlotsOf(const Sequence& sequence) const {
  return sequence.job->forked ? 1 : sequence.job->num_unfinished();
}

int32_t Scheduler::SlotsUsed() const {
  int32_t slots = 0;
  for (const Sequence* sequence : running_) slots += SlotsOf(*sequence);
  return slots;
}

}  // namespace banyan::worker
