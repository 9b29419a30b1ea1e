#include "kernels/cpu/memory_region.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <optional>

namespace banyan::kernels::cpu {
namespace {

TEST(MemoryArenaTest, LaysSmallRegionsBehindEachOtherWithoutOverlap) {
  MemoryArena arena;
  const MemoryRegion first = *arena.Allocate(100, "first");
  const MemoryRegion second = *arena.Allocate(1000, "second");
  EXPECT_EQ(first.size_bytes(), 100u);
  EXPECT_EQ(second.data() - first.data(), 128);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(second.data()) % 64, 0u);
}

TEST(MemoryArenaTest, RegionsOutliveTheArenaAndTheirNeighbours) {
  std::optional<MemoryArena> arena(std::in_place);
  std::optional<MemoryRegion> first = *arena->Allocate(4096, "first");
  const MemoryRegion second = *arena->Allocate(4096, "second");
  std::memset(second.data(), 7, second.size_bytes());
  arena.reset();
  first.reset();
  EXPECT_EQ(second.data()[4095], 7);
}

TEST(MemoryArenaTest, StartsANewChunkWhenTheRestIsTooSmall) {
  MemoryArena arena;
  constexpr size_t kSize = size_t{40} << 20;
  const MemoryRegion first = *arena.Allocate(kSize, "first");
  const MemoryRegion second = *arena.Allocate(kSize, "second");
  first.data()[kSize - 1] = 1;
  second.data()[0] = 2;
  second.data()[kSize - 1] = 3;
  EXPECT_EQ(first.data()[kSize - 1], 1);
}

TEST(MemoryArenaTest, NamesThePurposeOfWhatDoesNotFitTheMachine) {
  MemoryArena arena;
  const auto region = arena.Allocate(size_t{1} << 50, "weight x");
  EXPECT_EQ(region.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(region.status().ToString().find("weight x"), std::string::npos);
}

}  // namespace
}  // namespace banyan::kernels::cpu
