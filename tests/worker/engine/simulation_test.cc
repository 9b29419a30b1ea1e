// The simulation over several seeds. BANYAN_SIMULATION_SEEDS=n runs n seeds,
// BANYAN_SIMULATION_FIRST starts at another one.
#include "tests/worker/engine/simulation.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/testing/sanitized.h"

namespace banyan::worker {
namespace {

constexpr int kNumSteps = banyan::testing::kSanitized ? 1'000 : 10'000;

int FromEnvironment(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::atoi(value);
}

TEST(EngineSimulationTest, EveryRequestEndsOnceWithTheOraclesTokens) {
  const int first = FromEnvironment("BANYAN_SIMULATION_FIRST", 1);
  const int num_seeds = FromEnvironment("BANYAN_SIMULATION_SEEDS", 10);
  EngineStats sum;
  int num_ended_ok = 0;
  int num_ended_early = 0;
  for (int seed = first; seed < first + num_seeds; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    Simulation simulation(static_cast<uint64_t>(seed));
    simulation.Run(kNumSteps);
    if (HasFailure()) return;
    sum.preemptions += simulation.stats().preemptions;
    sum.evicted_blocks += simulation.stats().evicted_blocks;
    sum.prefix_hit_tokens += simulation.stats().prefix_hit_tokens;
    sum.numeric_faults += simulation.stats().numeric_faults;
    num_ended_ok += simulation.num_ended_ok();
    num_ended_early += simulation.num_ended_early();
  }
  // The simulation means something only if all of this happened.
  EXPECT_GT(sum.preemptions, 0u);
  EXPECT_GT(sum.evicted_blocks, 0u);
  EXPECT_GT(sum.prefix_hit_tokens, 0u);
  EXPECT_GT(sum.numeric_faults, 0u);
  EXPECT_GT(num_ended_ok, 100);
  EXPECT_GT(num_ended_early, 10);
  std::printf("ended: %d ok, %d early; preemptions %llu, evictions %llu, hit tokens %llu\n",
              num_ended_ok, num_ended_early, static_cast<unsigned long long>(sum.preemptions),
              static_cast<unsigned long long>(sum.evicted_blocks),
              static_cast<unsigned long long>(sum.prefix_hit_tokens));
}

}  // namespace
}  // namespace banyan::worker
