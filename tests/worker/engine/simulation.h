// A seeded simulation of the engine's whole life: arrivals with shared prefixes, several samples,
// classes and resumed requests; cancels, deadlines, stopped samples, drains, poisoned logits; a
// pool small enough to preempt. Every invariant is checked at every step, every output against the
// oracle, every cache event against the cache.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/testing/recording_sink.h"
#include "tests/testing/toy_executor.h"
#include "worker/engine/engine.h"

namespace banyan::worker {

// A watcher of the cache event log: keeps a tree by replaying events, as a router does.
class CacheWatcher {
 public:
  // Reads on, or takes a snapshot where the ring has gone past it, then compares with the checksum
  // and with a fresh snapshot.
  void SyncAndCheck(const Engine& engine);
  int num_snapshots() const { return num_snapshots_; }

 private:
  void Apply(const CacheEvent& event);

  uint64_t sequence_ = 0;
  int num_snapshots_ = 0;
  std::map<BlockHash, BlockHash> parents_;  // of each block held
};

class Simulation {
 public:
  explicit Simulation(uint64_t seed);

  // Runs `num_steps` with arrivals, then until everything has ended, and checks the end state.
  void Run(int num_steps);

  const EngineStats& stats() const { return stats_; }
  int num_ended_ok() const { return num_ended_ok_; }
  int num_ended_early() const { return num_ended_early_; }

 private:
  struct Live {
    Request request;
    std::shared_ptr<testing::RecordingSink> sink;
    bool cancelled = false;
    std::set<int32_t> stopped;
  };

  static EngineOptions RandomOptions(uint64_t seed);
  static testing::ToyExecutorOptions ToyOptions(const EngineOptions& options);
  int32_t Uniform(int32_t min, int32_t max);  // both included
  bool Chance(double probability);
  Request RandomRequest();
  SamplingParams RandomSampling();
  void AddResume(Request& request);
  void Submit();
  void Disturb();
  void DrainOrUndrain();
  void Turn();
  void CheckEnded(const Live& live);
  void CheckError(const Live& live);
  void CheckSample(const Live& live, int32_t index);
  void CheckPromptLogprobs(const Live& live);

  std::mt19937_64 random_;
  const EngineOptions options_;
  FakeClock clock_;
  testing::ToyExecutor executor_;
  std::unique_ptr<Engine> engine_;
  CacheWatcher watcher_;
  std::vector<std::vector<TokenId>> prefixes_;
  std::map<std::string, Live> live_;
  bool drained_once_ = false;
  int next_id_ = 0;
  int num_ended_ok_ = 0;
  int num_ended_early_ = 0;
  EngineStats stats_;
};

}  // namespace banyan::worker
