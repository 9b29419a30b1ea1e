#include "worker/scheduler/scheduler.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "common/base/check.h"

namespace banyan::worker {

Scheduler::Scheduler(const SchedulerOptions& options, RadixCache& cache)
    : options_(options), cache_(cache) {
  BANYAN_CHECK_GE(options.max_running_sequences, 1);
  BANYAN_CHECK_GE(options.max_step_tokens, options.max_running_sequences);
}

void Scheduler::Add(Request request, std::shared_ptr<RequestSink> sink, TimePoint submitted) {
  const uint64_t serial = next_serial_++;
  const bool is_new = serials_.emplace(request.id, serial).second;
  BANYAN_CHECK(is_new) << "request id in use";
  auto owned = std::make_unique<Job>(std::move(request), std::move(sink), options_.eos_token_ids);
  Job& job = *owned;
  jobs_.emplace(serial, std::move(owned));
  job.submitted = submitted;
  job.born = submitted - job.request.waited;

  // A resumed sample may have reached its end without its router knowing.
  for (int32_t i = 0; i < static_cast<int32_t>(job.samples.size()); ++i) {
    const Sample& sample = job.samples[static_cast<size_t>(i)];
    if (sample.finish != FinishReason::kNone || sample.resumed.empty()) continue;
    const FinishReason reason = job.rules.Check(sample.resumed.back(), sample.num_output);
    if (reason != FinishReason::kNone) FinishSample(job, i, reason);
  }
  EndIfDone(job, submitted);
  if (job.ended) return;

  job.forked = job.num_unfinished() == 1;
  const auto first = std::ranges::find(job.samples, FinishReason::kNone, &Sample::finish);
  Sequence& sequence = AddSequence(job, static_cast<int32_t>(first - job.samples.begin()));
  if (job.forked) AppendOutputs(sequence, first->resumed);
  ExtendHashes(sequence, sequence.num_tokens(), cache_.block_size());
  sequence.uncached_estimate =
      sequence.num_tokens() - cache_.Peek(KeyOf(sequence)).num_blocks * cache_.block_size();
  waiting_.push_back(&sequence);
}

void Scheduler::End(std::string_view request_id, const absl::Status& status, TimePoint now) {
  if (Job* job = Find(request_id); job != nullptr) EndJob(*job, status, now);
}

void Scheduler::StopSamples(std::string_view request_id, std::span<const int32_t> indices,
                            TimePoint now) {
  Job* job = Find(request_id);
  if (job == nullptr) return;
  for (const int32_t index : indices) {
    if (index < 0 || static_cast<size_t>(index) >= job->samples.size()) continue;
    if (job->samples[static_cast<size_t>(index)].finish != FinishReason::kNone) continue;
    FinishSample(*job, index, FinishReason::kStop);
  }
  EndIfDone(*job, now);
}

void Scheduler::ExpireDeadlines(TimePoint now) {
  std::vector<Job*> late;
  for (const auto& [serial, job] : jobs_) {
    const Request& request = job->request;
    const bool too_late = request.deadline.has_value() && now >= *request.deadline;
    const bool queued_too_long = !job->first_step.has_value() && request.max_queue.has_value() &&
                                 now - job->submitted > *request.max_queue;
    if (too_late || queued_too_long) late.push_back(job.get());
  }
  for (Job* job : late) {
    const Request& request = job->request;
    if (request.deadline.has_value() && now >= *request.deadline) {
      EndJob(*job, absl::DeadlineExceededError("DEADLINE_EXCEEDED: the deadline has passed"), now);
    } else {
      EndJob(*job,
             absl::ResourceExhaustedError(
                 absl::StrFormat("QUEUE_TIMEOUT: max_queue: waited %d ms in the queue, limit %d ms",
                                 ToMicroseconds(now - job->submitted) / 1000,
                                 ToMicroseconds(*request.max_queue) / 1000)),
             now);
    }
  }
}

void Scheduler::EndRequests(Scope scope, const absl::Status& status, TimePoint now) {
  std::vector<Job*> jobs;
  for (const auto& [serial, job] : jobs_) {
    if (scope == Scope::kAll || !job->first_step.has_value()) jobs.push_back(job.get());
  }
  for (Job* job : jobs) EndJob(*job, status, now);
}

std::vector<Delivery> Scheduler::TakeDeliveries() {
  for (const auto& [serial, job] : jobs_) job->outbox_slot.reset();
  return std::exchange(outbox_, {});
}

int32_t Scheduler::num_unstarted() const {
  return static_cast<int32_t>(std::ranges::count_if(
      jobs_, [](const auto& entry) { return !entry.second->first_step.has_value(); }));
}

SchedulerLoad Scheduler::Load(TimePoint now) const {
  SchedulerLoad load;
  load.running_sequences = static_cast<int32_t>(running_.size());
  for (const Sequence* sequence : running_) {
    if (IsDecode(*sequence)) {
      ++load.decoding_sequences;
      load.decoding_kv_tokens += sequence->num_tokens();
    } else {
      load.waiting_prefill_tokens += sequence->remaining();
    }
  }
  for (const Sequence* sequence : waiting_) {
    load.waiting_prefill_tokens += sequence->uncached_estimate;
    load.blocks_wanted += BlocksFor(static_cast<int32_t>(sequence->uncached_estimate));
  }
  for (const auto& [serial, job] : jobs_) {
    const bool runs = std::ranges::any_of(job->sequences, [](const auto& sequence) {
      return sequence->state == SequenceState::kRunning;
    });
    if (runs) continue;
    ++load.waiting_requests;
    load.oldest_waiting = std::max(load.oldest_waiting, now - job->submitted);
  }
  return load;
}

Scheduler::SlotUse Scheduler::KvSlots() const {
  // Shared blocks count once.
  std::map<BlockId, int32_t> used;
  const int32_t size = cache_.block_size();
  for (const Sequence* sequence : running_) {
    for (size_t i = 0; i < sequence->blocks.size(); ++i) {
      int32_t& slots = used[sequence->blocks[i].id()];
      slots =
          std::max(slots, std::min(size, sequence->num_computed - static_cast<int32_t>(i) * size));
    }
  }
  SlotUse use;
  for (const auto& [block, slots] : used) {
    use.allocated += size;
    use.unused += size - slots;
  }
  return use;
}

Job* Scheduler::Find(std::string_view request_id) {
  const auto found = serials_.find(std::string(request_id));
  return found == serials_.end() ? nullptr : jobs_.at(found->second).get();
}

Sequence& Scheduler::AddSequence(Job& job, int32_t sample_index) {
  auto& sequence = *job.sequences.emplace_back(
      std::make_unique<Sequence>(TokenHistory(job.request.sampling, job.request.prompt)));
  sequence.id = SequenceId{next_sequence_++};
  sequence.job = &job;
  sequence.sample_index = sample_index;
  sequence.tokens = job.request.prompt;
  return sequence;
}

void Scheduler::AppendOutputs(Sequence& sequence, std::span<const TokenId> outputs) {
  sequence.tokens.insert(sequence.tokens.end(), outputs.begin(), outputs.end());
  for (const TokenId token : outputs) sequence.history.Append(token);
}

// Ends a sample by its tokens or from outside. Before the first token the sink hears of it with the
// others' first tokens.
void Scheduler::FinishSample(Job& job, int32_t sample_index, FinishReason reason) {
  Sample& sample = job.samples[static_cast<size_t>(sample_index)];
  sample.finish = reason;
  if (job.started) {
    UpdateOf(job, sample_index).finish_reason = reason;
    sample.end_reported = true;
  }
  if (job.forked) {
    for (const auto& sequence : job.sequences) {
      if (sequence->sample_index == sample_index) RetireSequence(*sequence);
    }
  }
}

void Scheduler::RetireSequence(Sequence& sequence) {
  if (sequence.state == SequenceState::kEnded) return;
  std::erase(sequence.state == SequenceState::kRunning ? running_ : waiting_, &sequence);
  sequence.state = SequenceState::kEnded;
  counters_.blocks_freed += sequence.blocks.size();
  ReleaseBlocks(sequence.blocks);
}

void Scheduler::EndIfDone(Job& job, TimePoint now) {
  if (job.ended || job.num_unfinished() > 0) return;
  ReportStart(job);
  ++counters_.requests_finished;
  EndJob(job, absl::OkStatus(), now);
}

void Scheduler::EndJob(Job& job, const absl::Status& status, TimePoint now) {
  for (const auto& sequence : job.sequences) RetireSequence(*sequence);
  Delivery& delivery = OutboxOf(job);
  delivery.end = Delivery::End{status, job.Usage(), job.Timing(now)};
  job.ended = true;
  ++counters_.requests_ended;
  const auto serial = serials_.find(job.request.id);
  const auto entry = jobs_.find(serial->second);
  ended_.push_back(std::move(entry->second));
  jobs_.erase(entry);
  serials_.erase(serial);
}

// The sink's first call, and with it the ends of samples that never got a token.
void Scheduler::ReportStart(Job& job) {
  if (job.started) return;
  job.started = true;
  OutboxOf(job).start = Delivery::Start{job.Usage(), std::move(job.prompt_logprobs)};
  for (int32_t i = 0; i < static_cast<int32_t>(job.samples.size()); ++i) {
    Sample& sample = job.samples[static_cast<size_t>(i)];
    if (sample.finish == FinishReason::kNone || sample.end_reported) continue;
    UpdateOf(job, i).finish_reason = sample.finish;
    sample.end_reported = true;
  }
}

Delivery& Scheduler::OutboxOf(Job& job) {
  if (!job.outbox_slot.has_value()) {
    job.outbox_slot = outbox_.size();
    outbox_.push_back({job.request.id, job.sink, std::nullopt, {}, std::nullopt});
  }
  return outbox_[*job.outbox_slot];
}

int32_t Scheduler::BlocksFor(int32_t num_tokens) const {
  return (num_tokens + cache_.block_size() - 1) / cache_.block_size();
}

void Scheduler::CheckInvariants() const {
  cache_.CheckInvariants();
  BANYAN_CHECK_EQ(jobs_.size(), serials_.size());
  BANYAN_CHECK_LE(SlotsUsed(), options_.max_running_sequences);
  std::map<BlockId, int32_t> holders;
  size_t num_running = 0;
  size_t num_waiting = 0;
  for (const auto& [serial, job] : jobs_) {
    BANYAN_CHECK(!job->ended && job->num_unfinished() > 0);
    int32_t num_live = 0;
    for (const auto& sequence : job->sequences) {
      if (sequence->state == SequenceState::kEnded) {
        BANYAN_CHECK(sequence->blocks.empty());
        continue;
      }
      ++num_live;
      BANYAN_CHECK(sequence->job == job.get());
      BANYAN_CHECK_LT(sequence->num_computed, sequence->num_tokens());
      BANYAN_CHECK_EQ(static_cast<int32_t>(sequence->blocks.size()),
                      BlocksFor(sequence->num_computed));
      if (sequence->state == SequenceState::kWaiting) {
        ++num_waiting;
        BANYAN_CHECK_EQ(sequence->num_computed, 0);
        BANYAN_CHECK_EQ(std::ranges::count(waiting_, sequence.get()), 1);
      } else {
        ++num_running;
        BANYAN_CHECK_EQ(std::ranges::count(running_, sequence.get()), 1);
      }
      for (const BlockRef& block : sequence->blocks) ++holders[block.id()];
      for (const BlockRef& block : sequence->blocks) {
        BANYAN_CHECK_LE(holders[block.id()], cache_.NumHolders(block));
      }
    }
    BANYAN_CHECK_EQ(num_live, job->forked ? job->num_unfinished() : 1);
  }
  BANYAN_CHECK_EQ(num_running, running_.size());
  BANYAN_CHECK_EQ(num_waiting, waiting_.size());
  for (const Sequence* sequence : running_) {
    for (const BlockRef& block : sequence->blocks) {
      BANYAN_CHECK_EQ(holders[block.id()], cache_.NumHolders(block)) << "a block leaked";
    }
  }
  BANYAN_CHECK_EQ(static_cast<int32_t>(holders.size()), cache_.num_held()) << "a block leaked";
}

}  // namespace banyan::worker
