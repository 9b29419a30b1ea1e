#include "tests/worker/engine/simulation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "common/base/check.h"

namespace banyan::worker {
namespace {

constexpr std::chrono::milliseconds kStepTime(5);

}  // namespace

void CacheWatcher::SyncAndCheck(const Engine& engine) {
  std::vector<CacheEvent> events;
  while (sequence_ < engine.CacheSequence()) {
    events.clear();
    if (engine.ReadCacheEvents(sequence_ + 1, 512, events)) {
      sequence_ += events.size();
    } else {
      parents_.clear();
      events = engine.CacheSnapshot(sequence_);
      ++num_snapshots_;
    }
    for (const CacheEvent& event : events) Apply(event);
  }
  uint64_t sequence = 0;
  uint32_t num_blocks = 0;
  BlockHash hash_xor;
  engine.CacheChecksum(sequence, num_blocks, hash_xor);
  BlockHash mine;
  for (const auto& [hash, parent] : parents_) mine = mine ^ hash;
  ASSERT_EQ(sequence, sequence_);
  ASSERT_EQ(num_blocks, parents_.size());
  ASSERT_EQ(hash_xor, mine);
  CacheWatcher fresh;
  for (const CacheEvent& event : engine.CacheSnapshot(sequence)) fresh.Apply(event);
  ASSERT_EQ(fresh.parents_, parents_);
}

void CacheWatcher::Apply(const CacheEvent& event) {
  if (event.kind == CacheEvent::Kind::kCleared) {
    parents_.clear();
    return;
  }
  BlockHash parent = event.parent;
  if (event.kind == CacheEvent::Kind::kStored && !event.starts_sequence) {
    ASSERT_TRUE(parents_.contains(parent)) << "a child before its parent";
  }
  for (const BlockHash& hash : event.hashes) {
    if (event.kind == CacheEvent::Kind::kStored) {
      ASSERT_TRUE(parents_.emplace(hash, parent).second) << "stored twice";
      parent = hash;
    } else {
      ASSERT_EQ(parents_.erase(hash), 1u) << "removed what was not there";
    }
  }
}

Simulation::Simulation(uint64_t seed)
    : random_(seed), options_(RandomOptions(seed)), executor_(ToyOptions(options_)) {
  engine_ = *Engine::Create(options_, executor_, clock_);
  for (int i = 0; i < 6; ++i) {
    std::vector<TokenId>& prefix = prefixes_.emplace_back();
    if (i >= 3) prefix = prefixes_[static_cast<size_t>(i) - 3];  // prefixes of prefixes
    const int32_t length = Uniform(1, 30);
    for (int32_t k = 0; k < length; ++k) prefix.push_back(Uniform(0, 99));
  }
}

EngineOptions Simulation::RandomOptions(uint64_t seed) {
  std::mt19937_64 random(seed ^ 0x5eed);
  const auto pick = [&random](int32_t min, int32_t max) {
    return std::uniform_int_distribution<int32_t>(min, max)(random);
  };
  EngineOptions options;
  options.block_size = 1 << pick(0, 4);
  options.context_length = 160;
  // From barely one request to about twenty.
  options.num_blocks =
      (options.context_length + options.block_size - 1) / options.block_size * pick(1, 6);
  options.vocabulary_size = 101;
  options.max_running_sequences = pick(4, 24);
  options.max_step_tokens = options.max_running_sequences + pick(0, 60);
  options.max_waiting_requests = 24;
  options.num_samples_max = 4;
  options.eos_token_ids = {3, 50};
  options.prefix_cache = seed % 5 != 4;
  options.cache_log_bytes_max = 16 << 10;
  options.prompt_logprobs_bytes_max = 64 << 10;
  return options;
}

::banyan::testing::ToyExecutorOptions Simulation::ToyOptions(const EngineOptions& options) {
  testing::ToyExecutorOptions toy;
  toy.num_blocks = options.num_blocks;
  toy.block_size = options.block_size;
  toy.vocabulary_size = 100;
  toy.poison = 100;
  return toy;
}

int32_t Simulation::Uniform(int32_t min, int32_t max) {
  return std::uniform_int_distribution<int32_t>(min, max)(random_);
}

bool Simulation::Chance(double probability) {
  return std::bernoulli_distribution(probability)(random_);
}

SamplingParams Simulation::RandomSampling() {
  SamplingParams params;
  params.temperature = Chance(0.5) ? 0.0f : 0.8f;
  params.max_tokens = Chance(0.1) ? Uniform(40, 70) : Uniform(1, 25);
  params.min_tokens = Chance(0.3) ? Uniform(0, params.max_tokens) : 0;
  params.ignore_eos = Chance(0.3);
  params.seed = random_();
  params.num_samples = Chance(0.25) ? Uniform(2, 4) : 1;
  if (Chance(0.2)) params.stop_token_ids = {Uniform(0, 99), Uniform(0, 99)};
  if (Chance(0.1)) params.repetition_penalty = 1.3f;
  if (Chance(0.1)) params.frequency_penalty = 0.5f;
  if (Chance(0.1)) params.logit_bias = {{5, 1.0f}, {60, -100.0f}};
  if (Chance(0.05)) params.allowed_token_ids = {1, 3, 50, 77, 78};
  if (Chance(0.2)) params.num_logprobs = Uniform(0, 3);
  if (Chance(0.1)) params.num_prompt_logprobs = Uniform(0, 3);
  return params;
}

Request Simulation::RandomRequest() {
  Request request;
  request.id = std::to_string(next_id_++);
  request.prompt = prefixes_[static_cast<size_t>(Uniform(0, 5))];
  const int32_t tail = Chance(0.3) ? 0 : Uniform(0, 28);
  for (int32_t i = 0; i < tail; ++i) request.prompt.push_back(Uniform(0, 99));
  if (Chance(0.004)) request.prompt.push_back(100);
  request.sampling = RandomSampling();
  request.priority = static_cast<Priority>(Uniform(0, 2));
  if (Chance(0.2)) request.cache_salt = {1, 9};
  if (Chance(0.2)) request.waited = std::chrono::milliseconds(Uniform(0, 3000));
  if (Chance(0.05)) request.max_queue = std::chrono::milliseconds(Uniform(0, 100));
  if (Chance(0.05)) request.deadline = clock_.Now() + std::chrono::milliseconds(Uniform(1, 400));
  if (Chance(0.2)) AddResume(request);
  return request;
}

void Simulation::AddResume(Request& request) {
  for (int32_t i = 0; i < request.sampling.num_samples; ++i) {
    testing::ToyOutput full = testing::ToyOracle(request, i, options_.eos_token_ids, 100);
    SampleProgress progress;
    const size_t length = static_cast<size_t>(Uniform(0, static_cast<int32_t>(full.tokens.size())));
    progress.finished = length == full.tokens.size() && Chance(0.5);
    full.tokens.resize(length);
    progress.output = full.tokens;
    request.resume.push_back(progress);
  }
  request.resumed_cached_tokens = 1;
}

void Simulation::Submit() {
  Live live;
  live.request = RandomRequest();
  live.sink = std::make_shared<testing::RecordingSink>();
  const absl::Status status = engine_->Submit(live.request, live.sink);
  if (status.ok()) {
    live_.emplace(live.request.id, live);
    return;
  }
  const EngineState state = engine_->Stats().state;
  const bool full = status.code() == absl::StatusCode::kResourceExhausted;
  ASSERT_TRUE(full ||
              (status.code() == absl::StatusCode::kUnavailable && state != EngineState::kServing))
      << status;
}

void Simulation::Disturb() {
  if (live_.empty()) return;
  auto entry = live_.begin();
  std::advance(entry, Uniform(0, static_cast<int32_t>(live_.size()) - 1));
  Live& live = entry->second;
  if (Chance(0.02)) {
    engine_->Cancel(live.request.id);
    live.cancelled = true;
  }
  if (Chance(0.03)) {
    const int32_t index = Uniform(0, live.request.sampling.num_samples);  // one may not exist
    engine_->StopSamples(live.request.id, std::vector<int32_t>{index});
    live.stopped.insert(index);
  }
}

void Simulation::DrainOrUndrain() {
  if (engine_->Stats().state == EngineState::kServing) {
    if (!Chance(0.001)) return;
    drained_once_ = true;
    engine_->Drain(clock_.Now() + std::chrono::milliseconds(Uniform(0, 300)));
  } else if (engine_->Stats().state == EngineState::kDrained || Chance(0.01)) {
    engine_->Undrain();
  }
}

void Simulation::Turn() {
  const absl::StatusOr<bool> computed = engine_->Step();
  ASSERT_TRUE(computed.ok()) << computed.status();
  engine_->CheckInvariants();
  clock_.Advance(kStepTime);
  if (Chance(0.05)) watcher_.SyncAndCheck(*engine_);
  for (auto entry = live_.begin(); entry != live_.end();) {
    if (!entry->second.sink->finished) {
      ++entry;
      continue;
    }
    CheckEnded(entry->second);
    entry = live_.erase(entry);
  }
  if (!*computed) {
    ASSERT_TRUE(live_.empty()) << "nothing computed although requests wait";
  }
}

void Simulation::CheckEnded(const Live& live) {
  const testing::RecordingSink& sink = *live.sink;
  int32_t num_output = 0;
  for (int32_t i = 0; i < live.request.sampling.num_samples; ++i) {
    CheckSample(live, i);
    const auto sample = sink.samples.find(i);
    if (sample != sink.samples.end()) {
      num_output += static_cast<int32_t>(sample->second.tokens.size());
    }
    if (!live.request.resume.empty()) {
      num_output += static_cast<int32_t>(live.request.resume[static_cast<size_t>(i)].output.size());
    }
  }
  EXPECT_EQ(sink.usage.completion_tokens, num_output);
  EXPECT_EQ(sink.usage.prompt_tokens, static_cast<int32_t>(live.request.prompt.size()));
  if (!sink.status.ok()) {
    ++num_ended_early_;
    CheckError(live);
    return;
  }
  ++num_ended_ok_;
  EXPECT_TRUE(sink.started);
  EXPECT_LT(sink.usage.cached_tokens, sink.usage.prompt_tokens + 1);
  if (!options_.prefix_cache && live.request.resume.empty()) {
    EXPECT_EQ(sink.usage.cached_tokens, 0);
  }
  CheckPromptLogprobs(live);
}

void Simulation::CheckError(const Live& live) {
  bool explained = false;
  switch (live.sink->status.code()) {
    case absl::StatusCode::kCancelled:
      explained = live.cancelled;
      break;
    case absl::StatusCode::kDeadlineExceeded:
      explained = live.request.deadline.has_value();
      break;
    case absl::StatusCode::kResourceExhausted:
      explained = live.request.max_queue.has_value() && !live.sink->started;
      break;
    case absl::StatusCode::kUnavailable:
      explained = drained_once_;
      break;
    case absl::StatusCode::kInternal:
      explained = std::ranges::count(live.request.prompt, 100) > 0;
      break;
    default:
      break;
  }
  EXPECT_TRUE(explained) << live.sink->status;
}

void Simulation::CheckSample(const Live& live, int32_t index) {
  static const std::vector<TokenId> kNone;
  const bool resumed = !live.request.resume.empty();
  const SampleProgress progress =
      resumed ? live.request.resume[static_cast<size_t>(index)] : SampleProgress{};
  const auto found = live.sink->samples.find(index);
  const bool poisoned = std::ranges::count(live.request.prompt, 100) > 0;
  if (found == live.sink->samples.end()) {
    EXPECT_TRUE(!live.sink->status.ok() || progress.finished);
    return;
  }
  const testing::RecordingSink::Sample& sample = found->second;
  EXPECT_EQ(sample.first_position, static_cast<int32_t>(progress.output.size()));
  if (poisoned) {
    EXPECT_TRUE(sample.tokens.empty());
    return;
  }
  std::vector<TokenId> tokens = progress.output;
  tokens.insert(tokens.end(), sample.tokens.begin(), sample.tokens.end());
  const testing::ToyOutput oracle =
      testing::ToyOracle(live.request, index, options_.eos_token_ids, 100);
  ASSERT_LE(tokens.size(), oracle.tokens.size());
  EXPECT_TRUE(std::ranges::equal(tokens, std::span(oracle.tokens).first(tokens.size())))
      << "request " << live.request.id << " sample " << index;
  if (live.request.sampling.num_logprobs.has_value() && !sample.tokens.empty()) {
    std::vector<TokenId> before = live.request.prompt;
    before.insert(before.end(), tokens.begin(), tokens.end() - 1);
    EXPECT_EQ(sample.logprobs.logprobs.back(),
              testing::ToyLogprob(testing::ToyPrefixHash(before), tokens.back()));
  }
  if (!live.sink->status.ok()) return;
  ASSERT_NE(sample.finish, FinishReason::kNone);
  if (live.stopped.contains(index) && tokens.size() < oracle.tokens.size()) {
    EXPECT_EQ(sample.finish, FinishReason::kStop);
    return;
  }
  EXPECT_EQ(tokens, oracle.tokens);
  if (live.stopped.contains(index)) return;
  EXPECT_EQ(sample.finish, oracle.finish);
}

void Simulation::CheckPromptLogprobs(const Live& live) {
  const TokenLogprobs& table = live.sink->prompt_logprobs;
  if (!live.request.sampling.num_prompt_logprobs.has_value()) {
    EXPECT_TRUE(table.tokens.empty());
    return;
  }
  const std::vector<TokenId>& prompt = live.request.prompt;
  const bool stopped = !live.stopped.empty() || !live.request.resume.empty();
  if (stopped && table.tokens.empty()) return;  // ended before its prompt was computed
  EXPECT_TRUE(stopped || table.tokens.size() == prompt.size() - 1);
  for (size_t i = 0; i < table.tokens.size(); ++i) {
    EXPECT_EQ(table.tokens[i], prompt[i + 1]);
    EXPECT_EQ(
        table.logprobs[i],
        testing::ToyLogprob(testing::ToyPrefixHash(std::span(prompt).first(i + 1)), prompt[i + 1]));
  }
}

void Simulation::Run(int num_steps) {
  double arrivals = 0.3;
  for (int step = 0; step < num_steps; ++step) {
    if (step % 500 == 0) arrivals = 0.05 * Uniform(1, 16);
    if (Chance(arrivals)) Submit();
    Disturb();
    DrainOrUndrain();
    Turn();
    if (::testing::Test::HasFailure()) return;
  }
  engine_->Undrain();
  for (int step = 0; !live_.empty(); ++step) {
    ASSERT_LT(step, 20'000) << "requests never end";
    Turn();
    if (::testing::Test::HasFailure()) return;
  }
  Turn();
  watcher_.SyncAndCheck(*engine_);
  stats_ = engine_->Stats();
  EXPECT_EQ(stats_.blocks_used, 0);
  EXPECT_EQ(stats_.running_sequences, 0);
  EXPECT_EQ(stats_.waiting_requests, 0);
}

}  // namespace banyan::worker
