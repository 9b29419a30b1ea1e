// The engine with real threads: submitters, cancellers, readers of stats and cache log. Meant for
// ThreadSanitizer; without it a plain end-to-end check.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/testing/recording_sink.h"
#include "tests/testing/toy_executor.h"
#include "tests/worker/engine/engine_fixture.h"

namespace banyan::worker {
namespace {

constexpr int kNumSubmitters = 3;
constexpr int kRequestsEach = 60;

struct Submitted {
  Request request;
  std::shared_ptr<testing::RecordingSink> sink;
};

// Submits, retrying while the queue is full, and cancels or stops some.
std::vector<Submitted> SubmitMany(Engine& engine, int submitter) {
  std::vector<Submitted> all;
  for (int i = 0; i < kRequestsEach; ++i) {
    Request request = EngineFixture::MakeRequest(
        std::to_string(submitter) + "-" + std::to_string(i),
        EngineFixture::Prompt(10 + i % 40, submitter * 100 + i, 12), 1 + i % 12);
    request.sampling.num_samples = i % 7 == 0 ? 3 : 1;
    auto sink = std::make_shared<testing::RecordingSink>();
    while (!engine.Submit(request, sink).ok()) std::this_thread::yield();
    if (i % 11 == 3) engine.Cancel(request.id);
    if (i % 13 == 5) engine.StopSamples(request.id, std::vector<int32_t>{0});
    all.push_back({std::move(request), std::move(sink)});
  }
  return all;
}

TEST(EngineThreadsTest, ManyThreadsOneEngine) {
  EngineOptions options = EngineFixture::SmallOptions();
  options.max_waiting_requests = 16;
  options.cache_log_bytes_max = 2048;
  testing::ToyExecutor executor(
      {options.num_blocks, options.block_size, 100, 100, nullptr, {}, {}, {}});
  const std::unique_ptr<Engine> engine = *Engine::Create(options, executor, Clock::Real());

  std::atomic<bool> done = false;
  std::thread loop([&] {
    while (!done) {
      ASSERT_TRUE(engine->Step().ok());
      engine->CheckInvariants();
      engine->WaitForWork(std::chrono::milliseconds(20));
    }
  });
  std::thread reader([&] {
    uint64_t next = 1;
    uint64_t heartbeats = 0;
    while (!done) {
      const EngineStats stats = engine->Stats();
      EXPECT_GE(stats.heartbeats, heartbeats);
      heartbeats = stats.heartbeats;
      std::vector<CacheEvent> events;
      if (engine->ReadCacheEvents(next, 1024, events)) {
        next += events.size();
      } else {
        engine->CacheSnapshot(next);
        ++next;
      }
      std::this_thread::yield();
    }
  });
  std::vector<std::vector<Submitted>> submitted(kNumSubmitters);
  std::vector<std::thread> submitters;
  for (int i = 0; i < kNumSubmitters; ++i) {
    submitters.emplace_back(
        [&engine, &submitted, i] { submitted[static_cast<size_t>(i)] = SubmitMany(*engine, i); });
  }
  for (std::thread& submitter : submitters) submitter.join();
  engine->Drain(Clock::Real().Now() + std::chrono::seconds(60));
  while (engine->Stats().state != EngineState::kDrained) std::this_thread::yield();
  done = true;
  loop.join();
  reader.join();

  for (const std::vector<Submitted>& list : submitted) {
    for (const Submitted& entry : list) {
      ASSERT_TRUE(entry.sink->finished) << entry.request.id;
      for (const auto& [index, sample] : entry.sink->samples) {
        const std::vector<TokenId> full =
            testing::ToyOracle(entry.request, index, options.eos_token_ids, 100).tokens;
        ASSERT_LE(sample.tokens.size(), full.size());
        EXPECT_TRUE(std::equal(sample.tokens.begin(), sample.tokens.end(), full.begin()));
      }
    }
  }
  EXPECT_EQ(engine->Stats().blocks_used, 0);
}

}  // namespace
}  // namespace banyan::worker
