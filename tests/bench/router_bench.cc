// What the router itself costs a request, without tokenization: hash the prompt's blocks, match the
// tree, choose a worker. Prompts of 8,192 tokens share prefixes of random length with what the
// workers hold; the tree has about a million blocks, so most of it is cold.
//
//   router_bench [num_workers] [num_requests]
//
// Times are of the thread's own CPU clock; printed in microseconds.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "router/routing/routing_pool.h"

namespace banyan::router {
namespace {

constexpr int kBlockSize = 16;
constexpr size_t kPromptTokens = 8192;
constexpr size_t kPrompts = 2048;

double ThreadMicroseconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

// Prompt i takes a random part from prompt i / 8 and goes on by itself: a tree of conversations.
std::vector<std::vector<TokenId>> MakePrompts(std::mt19937& random) {
  std::vector<std::vector<TokenId>> prompts(kPrompts);
  for (size_t i = 0; i < kPrompts; ++i) {
    if (i > 0) {
      const std::vector<TokenId>& parent = prompts[i / 8];
      const auto kept = static_cast<ptrdiff_t>(random() % kPromptTokens);
      prompts[i].assign(parent.begin(), parent.begin() + kept);
    }
    while (prompts[i].size() < kPromptTokens) {
      prompts[i].push_back(static_cast<TokenId>(random() % 128'000));
    }
  }
  return prompts;
}

struct Times {
  std::vector<double> hash, route, total;
};

void Print(const char* name, std::vector<double>& times) {
  std::sort(times.begin(), times.end());
  std::printf("%-16s p50 %7.1f us   p99 %7.1f us\n", name, times[times.size() / 2],
              times[times.size() * 99 / 100]);
}

int Main(int argc, char** argv) {
  const auto num_workers = static_cast<uint32_t>(argc > 1 ? std::atoi(argv[1]) : 64);
  const int num_requests = argc > 2 ? std::atoi(argv[2]) : 5000;
  std::mt19937 random(1);
  RoutingPool pool({.block_size = kBlockSize});
  const Clock& clock = Clock::Real();
  const std::vector<std::vector<TokenId>> prompts = MakePrompts(random);

  LoadReport report{.epoch = 1, .state = ReportedState::kServing};
  report.step = {.base_s = 0.008, .per_prefill_token_s = 6e-5, .per_sequence_s = 5e-5};
  report.step_tokens_max = 1024;
  report.running_sequences_max = 128;
  report.kv_blocks_total = 25'000;
  std::vector<WorkerHandle> workers;
  std::vector<std::unique_ptr<CacheStore>> stores;
  for (uint32_t i = 0; i < num_workers; ++i) {
    workers.push_back(pool.AddWorker("worker-" + std::to_string(i)));
    pool.OnConnected(workers[i], clock.Now());
    stores.push_back(pool.NewCacheStore(workers[i], clock));
    stores.back()->Reset();
    stores.back()->SetUsable(true);
  }
  for (size_t i = 0; i < kPrompts; ++i) {
    const std::vector<BlockHash> blocks = HashBlocks({}, prompts[i], kBlockSize);
    for (int copy = 0; copy < 3; ++copy) {
      stores[random() % num_workers]->Store(std::nullopt, blocks);
    }
  }
  uint64_t held = 0;
  for (const WorkerHandle& worker : workers) held += pool.Status(worker, clock.Now()).tree_blocks;

  Times times;
  for (int i = 0; i < num_requests; ++i) {
    ++report.heartbeats;
    for (const WorkerHandle& worker : workers) pool.OnLoadReport(worker, report, clock.Now());
    const std::vector<TokenId>& prompt = prompts[random() % kPrompts];
    const double begun = ThreadMicroseconds();
    const std::vector<BlockHash> blocks = HashBlocks({}, prompt, kBlockSize);
    const double hashed = ThreadMicroseconds();
    const auto decision = pool.Route(
        {.blocks = blocks, .prompt_tokens = kPromptTokens, .max_tokens = 200, .random = random()},
        clock.Now());
    const double routed = ThreadMicroseconds();
    if (!decision.has_value()) return EXIT_FAILURE;
    times.hash.push_back(hashed - begun);
    times.route.push_back(routed - hashed);
    times.total.push_back(routed - begun);
  }
  std::printf("%u workers, %llu blocks held, %zu runs, %.1f MB of tree, %zu-token prompts\n",
              num_workers, static_cast<unsigned long long>(held), pool.tree_runs(),
              static_cast<double>(pool.tree_bytes()) / 1e6, kPromptTokens);
  Print("hash", times.hash);
  Print("match and choose", times.route);
  Print("total", times.total);
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace banyan::router

int main(int argc, char** argv) { return banyan::router::Main(argc, argv); }
