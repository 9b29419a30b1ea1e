#include "tests/testing/toy_executor.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace banyan::testing {

using worker::FinishReason;
using worker::Request;
using worker::SamplePlan;
using worker::SamplingParams;
using worker::SequencePlan;
using worker::StepPlan;
using worker::StepResult;

uint64_t ToyMix(uint64_t a, uint64_t b) {
  uint64_t x = a * 0x9e3779b97f4a7c15u + b + 0x7f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t ToyPrefixHash(std::span<const TokenId> tokens) {
  uint64_t hash = 1;
  for (const TokenId token : tokens) hash = ToyMix(hash, static_cast<uint64_t>(token));
  return hash;
}

TokenId ToyNextToken(const ToyDraw& draw) {
  uint64_t hash = ToyMix(draw.prefix, draw.penalties);
  if (!draw.greedy) {
    hash = ToyMix(ToyMix(hash, draw.seed), draw.sample_index);
    hash = ToyMix(hash, draw.position);
  }
  for (uint64_t attempt = 0;; ++attempt) {
    const uint64_t value = ToyMix(hash, attempt);
    const TokenId token =
        draw.allowed.empty()
            ? static_cast<TokenId>(value % static_cast<uint64_t>(draw.vocabulary_size))
            : draw.allowed[value % draw.allowed.size()];
    if (!std::ranges::count(draw.banned, token)) return token;
  }
}

float ToyLogprob(uint64_t prefix, TokenId token) {
  return -static_cast<float>(ToyMix(prefix, static_cast<uint64_t>(token)) % 1000) / 64.0f;
}

ToyExecutor::ToyExecutor(const ToyExecutorOptions& options)
    : options_(options),
      slots_(static_cast<size_t>(options.num_blocks) * static_cast<size_t>(options.block_size)) {}

absl::Status ToyExecutor::Execute(const StepPlan& plan, StepResult& result) {
  if (!fail_next_.ok()) return std::exchange(fail_next_, absl::OkStatus());
  if (observer_) observer_(plan);
  const ptrdiff_t size = options_.block_size;
  for (const worker::BlockCopy& copy : plan.copies) {
    BANYAN_CHECK(copy.from != copy.to);
    std::copy_n(slots_.begin() + static_cast<ptrdiff_t>(copy.from) * size, size,
                slots_.begin() + static_cast<ptrdiff_t>(copy.to) * size);
  }
  // All writes come before all reads, as on a device: a block that two sequences write shows.
  int32_t num_tokens = 0;
  for (const SequencePlan& sequence : plan.sequences) {
    BANYAN_CHECK(!sequence.new_tokens.empty());
    for (size_t i = 0; i < sequence.new_tokens.size(); ++i) {
      const int32_t position = sequence.num_cached + static_cast<int32_t>(i);
      const uint64_t before = position == 0 ? 1 : SlotAt(sequence, position - 1).chain;
      const TokenId token = sequence.new_tokens[i];
      SlotAt(sequence, position) = {token, ToyMix(before, static_cast<uint64_t>(token))};
      ++num_tokens;
    }
  }
  BANYAN_CHECK_EQ(num_tokens, plan.num_tokens);
  result.tokens.clear();
  for (const SequencePlan& sequence : plan.sequences) RunSequence(sequence, result);
  if (options_.clock != nullptr) {
    options_.clock->Advance(options_.base + num_tokens * options_.per_token +
                            static_cast<int64_t>(plan.sequences.size()) * options_.per_sequence);
  }
  return absl::OkStatus();
}

void ToyExecutor::RunSequence(const SequencePlan& sequence, StepResult& result) {
  int32_t last_row = 0;
  for (const SamplePlan& sample : sequence.samples) {
    BANYAN_CHECK_GE(sample.new_token, last_row) << "rows ascend by new_token";
    BANYAN_CHECK_LT(sample.new_token, static_cast<int32_t>(sequence.new_tokens.size()));
    last_row = sample.new_token;
    const int32_t num_tokens = sequence.num_cached + sample.new_token + 1;
    bool poisoned = false;
    const uint64_t prefix = ReadPrefix(sequence, num_tokens, poisoned);
    if (sample.row.forced < 0) {
      BANYAN_CHECK_EQ(sample.row.position, static_cast<uint64_t>(num_tokens));
    }
    result.tokens.push_back(Sample(sample, prefix, poisoned));
  }
}

ToyExecutor::Slot& ToyExecutor::SlotAt(const SequencePlan& sequence, int32_t position) {
  const size_t index = static_cast<size_t>(position / options_.block_size);
  BANYAN_CHECK_LT(index, sequence.block_table.size()) << "the block table is too short";
  const int32_t block = static_cast<int32_t>(sequence.block_table[index]);
  BANYAN_CHECK(block >= 0 && block < options_.num_blocks);
  return slots_[static_cast<size_t>(block * options_.block_size + position % options_.block_size)];
}

uint64_t ToyExecutor::ReadPrefix(const SequencePlan& sequence, int32_t num_tokens, bool& poisoned) {
  uint64_t hash = 1;
  for (int32_t position = 0; position < num_tokens; ++position) {
    const Slot& slot = SlotAt(sequence, position);
    hash = ToyMix(hash, static_cast<uint64_t>(slot.token));
    BANYAN_CHECK_EQ(slot.chain, hash) << "stale KV at position " << position << " of sequence "
                                      << static_cast<int64_t>(sequence.sequence);
    poisoned = poisoned || slot.token == options_.poison;
  }
  return hash;
}

kernels::SampledToken ToyExecutor::Sample(const SamplePlan& plan, uint64_t prefix, bool poisoned) {
  kernels::SampledToken sampled;
  sampled.finite = !poisoned;
  if (poisoned) return sampled;
  const kernels::SamplingRow& row = plan.row;
  ToyDraw draw{
      prefix,       row.seed,    row.sample_index,        row.position, row.temperature == 0.0f, 0,
      plan.allowed, plan.banned, options_.vocabulary_size};
  for (const kernels::LogitAdjustment& entry : plan.adjustments) {
    draw.penalties = ToyMix(draw.penalties, static_cast<uint64_t>(entry.token));
    draw.penalties = ToyMix(draw.penalties, static_cast<uint64_t>(entry.output_count));
    draw.penalties = ToyMix(draw.penalties, (entry.seen ? 1u : 0u) + (entry.bias != 0 ? 2u : 0u));
  }
  sampled.token = row.forced >= 0 ? row.forced : ToyNextToken(draw);
  sampled.logprob = ToyLogprob(prefix, sampled.token);
  sampled.num_top = std::max(row.num_logprobs, 0);
  for (int32_t i = 0; i < sampled.num_top; ++i) {
    sampled.top_tokens[i] = i % options_.vocabulary_size;
    sampled.top_logprobs[i] = ToyLogprob(prefix, sampled.top_tokens[i]);
  }
  return sampled;
}

namespace {

// The penalties' hash from the definition: what was seen, how often it was drawn, what is biased.
uint64_t OraclePenalties(const SamplingParams& params, std::span<const TokenId> prompt,
                         std::span<const TokenId> output) {
  const bool repetition = params.repetition_penalty != 1.0f;
  const bool counts =
      repetition || params.presence_penalty != 0.0f || params.frequency_penalty != 0.0f;
  struct Entry {
    uint64_t count = 0;
    uint64_t flags = 0;
  };
  std::map<TokenId, Entry> entries;
  if (repetition) {
    for (const TokenId token : prompt) entries[token].flags |= 1;
  }
  for (const auto& [token, bias] : params.logit_bias) entries[token].flags |= bias != 0 ? 2u : 0u;
  for (const TokenId token : output) {
    if (!counts) break;
    ++entries[token].count;
    entries[token].flags |= 1;
  }
  uint64_t hash = 0;
  for (const auto& [token, entry] : entries) {
    hash = ToyMix(ToyMix(ToyMix(hash, static_cast<uint64_t>(token)), entry.count), entry.flags);
  }
  return hash;
}

}  // namespace

ToyOutput ToyOracle(const Request& request, int32_t sample_index,
                    std::span<const TokenId> eos_token_ids, int32_t vocabulary_size) {
  const SamplingParams& params = request.sampling;
  std::vector<TokenId> stop = params.stop_token_ids;
  if (!params.ignore_eos) stop.insert(stop.end(), eos_token_ids.begin(), eos_token_ids.end());
  std::vector<TokenId> tokens = request.prompt;
  ToyOutput output;
  while (output.finish == FinishReason::kNone) {
    const bool bans = static_cast<int32_t>(output.tokens.size()) < params.min_tokens;
    const uint64_t penalties = OraclePenalties(params, request.prompt, output.tokens);
    const ToyDraw draw{ToyPrefixHash(tokens),
                       params.seed,
                       static_cast<uint32_t>(sample_index),
                       tokens.size(),
                       params.temperature == 0.0f,
                       penalties,
                       params.allowed_token_ids,
                       bans ? std::span<const TokenId>(stop) : std::span<const TokenId>(),
                       vocabulary_size};
    const TokenId token = ToyNextToken(draw);
    tokens.push_back(token);
    output.tokens.push_back(token);
    if (!bans && std::ranges::count(stop, token)) {
      output.finish = FinishReason::kStop;
    } else if (static_cast<int32_t>(output.tokens.size()) >= params.max_tokens) {
      output.finish = FinishReason::kLength;
    }
  }
  return output;
}

}  // namespace banyan::testing
