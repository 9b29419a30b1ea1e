#include "worker/cache/cache_event_log.h"

#include <gtest/gtest.h>

#include <thread>

namespace banyan::worker {
namespace {

BlockHash Hash(uint64_t value) { return {0, value}; }

StoredBlock Root(int32_t block, uint64_t hash) {
  return {BlockId{block}, Hash(hash), std::nullopt, Hash(0)};
}

StoredBlock Child(int32_t block, uint64_t hash, const StoredBlock& parent) {
  return {BlockId{block}, Hash(hash), parent.block, parent.hash};
}

TEST(CacheEventLogTest, ReadersSeeNothingBeforePublish) {
  CacheEventLog log(4, 1 << 20);
  log.RecordStored(Root(0, 1));
  EXPECT_EQ(log.Sequence(), 0u);
  log.Publish();
  EXPECT_EQ(log.Sequence(), 1u);
}

TEST(CacheEventLogTest, JoinsARunOfBlocksToOneEvent) {
  CacheEventLog log(4, 1 << 20);
  const StoredBlock root = Root(0, 1);
  const StoredBlock child = Child(1, 2, root);
  log.RecordStored(root);
  log.RecordStored(child);
  log.RecordStored(Child(2, 3, root));  // a sibling: not the child of the block before it
  log.RecordRemoved(BlockId{1}, Hash(2));
  log.RecordRemoved(BlockId{2}, Hash(3));
  log.Publish();
  std::vector<CacheEvent> events;
  ASSERT_TRUE(log.Read(1, 1 << 20, events));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0], (CacheEvent{CacheEvent::Kind::kStored, Hash(0), true, {Hash(1), Hash(2)}}));
  EXPECT_EQ(events[1], (CacheEvent{CacheEvent::Kind::kStored, Hash(1), false, {Hash(3)}}));
  EXPECT_EQ(events[2], (CacheEvent{CacheEvent::Kind::kRemoved, {}, false, {Hash(2), Hash(3)}}));
}

TEST(CacheEventLogTest, ReadsAtLeastOneEventAndStopsAtTheLimit) {
  CacheEventLog log(8, 1 << 20);
  for (int32_t i = 0; i < 4; ++i) log.RecordStored(Root(i, static_cast<uint64_t>(i) + 1));
  log.Publish();
  std::vector<CacheEvent> events;
  ASSERT_TRUE(log.Read(2, 1, events));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].hashes.front(), Hash(2));
  ASSERT_TRUE(log.Read(5, 1, events)) << "nothing new is no error";
  EXPECT_EQ(events.size(), 1u);
}

TEST(CacheEventLogTest, SaysWhenAReaderHasFallenOutOfTheRing) {
  CacheEventLog log(64, 500);
  for (int32_t i = 0; i < 64; ++i) log.RecordStored(Root(i, static_cast<uint64_t>(i) + 1));
  log.Publish();
  std::vector<CacheEvent> events;
  EXPECT_FALSE(log.Read(1, 1 << 20, events));
  EXPECT_FALSE(log.Read(0, 1 << 20, events));
  ASSERT_TRUE(log.Read(64, 1 << 20, events));
  EXPECT_EQ(events.size(), 1u);
  uint64_t sequence = 0;
  EXPECT_EQ(log.Snapshot(sequence).size(), 64u);
  EXPECT_EQ(sequence, 64u);
}

TEST(CacheEventLogTest, ASnapshotListsParentsFirstAndCutsLongChains) {
  constexpr int32_t kNumBlocks = 3000;
  CacheEventLog log(kNumBlocks, 1 << 20);
  StoredBlock block = Root(0, 1);
  log.RecordStored(block);
  for (int32_t i = 1; i < kNumBlocks; ++i) {
    block = Child(i, static_cast<uint64_t>(i) + 1, block);
    log.RecordStored(block);
  }
  log.Publish();
  uint64_t sequence = 0;
  const std::vector<CacheEvent> snapshot = log.Snapshot(sequence);
  ASSERT_EQ(snapshot.size(), 3u);
  EXPECT_EQ(sequence, 3u) << "events are cut alike";
  EXPECT_TRUE(snapshot[0].starts_sequence);
  EXPECT_EQ(snapshot[1].parent, snapshot[0].hashes.back());
  EXPECT_FALSE(snapshot[1].starts_sequence);
}

TEST(CacheEventLogTest, ChecksumIsCountAndXorOfWhatIsHeld) {
  CacheEventLog log(4, 1 << 20);
  log.RecordStored(Root(0, 5));
  log.RecordStored(Root(1, 9));
  log.RecordRemoved(BlockId{0}, Hash(5));
  log.Publish();
  uint64_t sequence = 0;
  uint32_t num_blocks = 0;
  BlockHash hash_xor;
  log.Checksum(sequence, num_blocks, hash_xor);
  EXPECT_EQ(sequence, 3u);
  EXPECT_EQ(num_blocks, 1u);
  EXPECT_EQ(hash_xor, Hash(9));
  log.RecordCleared();
  log.Publish();
  log.Checksum(sequence, num_blocks, hash_xor);
  EXPECT_EQ(num_blocks, 0u);
  EXPECT_EQ(hash_xor, BlockHash{});
  EXPECT_TRUE(log.Snapshot(sequence).empty());
}

TEST(CacheEventLogTest, ReadersAndWriterMayRunAtOnce) {
  CacheEventLog log(64, 4096);
  std::thread reader([&log] {
    uint64_t next = 1;
    while (next <= 2000) {
      std::vector<CacheEvent> events;
      if (log.Read(next, 1024, events)) {
        next += events.size();
      } else {
        log.Snapshot(next);
        ++next;
      }
      std::this_thread::yield();
    }
  });
  for (int i = 0; i < 1000; ++i) {
    const int32_t block = i % 64;
    const uint64_t hash = static_cast<uint64_t>(i) + 1;
    log.RecordStored(Root(block, hash));
    log.Publish();
    log.RecordRemoved(BlockId{block}, Hash(hash));
    log.Publish();
  }
  reader.join();
  EXPECT_EQ(log.Sequence(), 2000u);
}

}  // namespace
}  // namespace banyan::worker
