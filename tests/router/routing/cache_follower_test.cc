#include "router/routing/cache_follower.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "router/routing/routing_pool.h"
#include "tests/router/routing/chains.h"

namespace banyan::router {
namespace {

constexpr uint64_t kBlocksMax = 100'000;

std::string BytesOf(std::span<const BlockHash> hashes) {
  std::string bytes;
  for (const BlockHash& hash : hashes) bytes += hash.ToBytes();
  return bytes;
}

// One message that owns its bytes.
struct Message {
  struct Change {
    enum class Kind { kStored, kRemoved, kCleared } kind = Kind::kStored;
    std::string parent;
    std::string hashes;
  };
  enum class Kind { kSnapshot, kDelta, kHeartbeat } kind = Kind::kDelta;
  uint64_t epoch = 0;
  uint64_t sequence = 0;
  uint32_t index = 0;
  bool last = false;
  uint64_t num_blocks = 0;
  std::string hash_xor = {};
  std::vector<Change> changes = {};  // of a snapshot: chains

  CacheEventView View() const {
    CacheEventView view{.epoch = epoch, .sequence = sequence, .kind = {}};
    if (kind == Kind::kHeartbeat) {
      view.kind = HeartbeatView{num_blocks, hash_xor};
    } else if (kind == Kind::kSnapshot) {
      SnapshotView snapshot{.index = index, .last = last, .chains = {}};
      for (const Change& change : changes)
        snapshot.chains.push_back({change.parent, change.hashes});
      view.kind = snapshot;
    } else {
      DeltaView delta;
      for (const Change& change : changes) {
        if (change.kind == Change::Kind::kStored) {
          delta.changes.push_back(ChainView{change.parent, change.hashes});
        } else if (change.kind == Change::Kind::kRemoved) {
          delta.changes.push_back(RemovedView{change.hashes});
        } else {
          delta.changes.push_back(ClearedView{});
        }
      }
      view.kind = delta;
    }
    return view;
  }
};

// A worker's cache and its event log with a short ring, as WatchCache serves it.
class SimulatedWorker {
 public:
  SimulatedWorker(uint32_t seed) : random_(seed), family_(seed, 16, 30) { Restart(); }

  void Restart() {
    epoch_ = random_();
    sequence_ = 0;
    ring_.clear();
    held_.clear();
  }

  // One engine step's worth of changes.
  void Act() {
    Message message{.epoch = epoch_, .sequence = ++sequence_};
    for (uint64_t i = 1 + random_() % 3; i-- > 0;) {
      if (random_() % 60 == 0) {
        held_.clear();
        message.changes.push_back({Message::Change::Kind::kCleared, "", ""});
      } else if (random_() % 3 == 0) {
        RemoveSome(message);
      } else {
        StoreSome(message);
      }
    }
    ring_.push_back(std::move(message));
    if (ring_.size() > 8) ring_.pop_front();
  }

  Message Heartbeat() const {
    Message message{.kind = Message::Kind::kHeartbeat, .epoch = epoch_, .sequence = sequence_};
    BlockHash hash_xor;
    for (const BlockHash& hash : held_) hash_xor = hash_xor ^ hash;
    message.num_blocks = held_.size();
    message.hash_xor = hash_xor.ToBytes();
    return message;
  }

  // What a new stream begins with.
  std::deque<Message> Open(CacheFollower::Position from) const {
    if (from.epoch == epoch_ && from.next_sequence == sequence_ + 1) return {};
    if (from.epoch == epoch_ && !ring_.empty() && ring_.front().sequence <= from.next_sequence &&
        from.next_sequence <= sequence_) {
      std::deque<Message> rest;
      for (const Message& message : ring_) {
        if (message.sequence >= from.next_sequence) rest.push_back(message);
      }
      return rest;
    }
    return Snapshot();
  }

  const Message& last() const { return ring_.back(); }
  const std::set<BlockHash>& held() const { return held_; }
  const ChainFamily& family() const { return family_; }
  uint64_t sequence() const { return sequence_; }

 private:
  void StoreSome(Message& message) {
    const std::vector<BlockHash>& chain = family_.chain(random_);
    size_t have = 0;
    while (have < chain.size() && held_.contains(chain[have])) ++have;
    if (have == chain.size()) return;
    const auto blocks = std::span(chain).subspan(have, 1 + random_() % (chain.size() - have));
    held_.insert(blocks.begin(), blocks.end());
    message.changes.push_back({Message::Change::Kind::kStored,
                               have == 0 ? "" : chain[have - 1].ToBytes(), BytesOf(blocks)});
  }

  void RemoveSome(Message& message) {
    const std::vector<BlockHash>& chain = family_.chain(random_);
    std::vector<BlockHash> removed;
    size_t have = 0;
    while (have < chain.size() && held_.contains(chain[have])) ++have;
    for (size_t want = 1 + random_() % 4; have > 0 && want > 0; --have, --want) {
      if (family_.HasChildIn(held_, chain[have - 1])) break;
      held_.erase(chain[have - 1]);
      removed.push_back(chain[have - 1]);
    }
    if (removed.empty()) return;
    message.changes.push_back({Message::Change::Kind::kRemoved, "", BytesOf(removed)});
  }

  std::deque<Message> Snapshot() const {
    std::deque<Message> chunks;
    std::set<BlockHash> sent;
    for (const std::vector<BlockHash>& chain : family_.chains()) {
      size_t begin = 0;
      while (begin < chain.size() && sent.contains(chain[begin])) ++begin;
      size_t end = begin;
      while (end < chain.size() && held_.contains(chain[end])) sent.insert(chain[end++]);
      if (end == begin) continue;
      Message chunk{.kind = Message::Kind::kSnapshot, .epoch = epoch_, .sequence = sequence_};
      chunk.index = static_cast<uint32_t>(chunks.size());
      chunk.changes.push_back({Message::Change::Kind::kStored,
                               begin == 0 ? "" : chain[begin - 1].ToBytes(),
                               BytesOf(std::span(chain).subspan(begin, end - begin))});
      chunks.push_back(std::move(chunk));
    }
    if (chunks.empty()) {
      chunks.push_back({.kind = Message::Kind::kSnapshot, .epoch = epoch_, .sequence = sequence_});
    }
    chunks.back().last = true;
    return chunks;
  }

  mutable std::mt19937 random_;
  ChainFamily family_;
  uint64_t epoch_ = 0;
  uint64_t sequence_ = 0;
  std::deque<Message> ring_;
  std::set<BlockHash> held_;
};

class CacheFollowerTest : public ::testing::Test {
 protected:
  CacheFollowerTest()
      : worker_(pool_.AddWorker("w")),
        store_(pool_.NewCacheStore(worker_, clock_)),
        follower_(kBlocksMax, *store_) {}

  static Message SnapshotOf(std::span<const BlockHash> chain, uint64_t sequence) {
    Message message{.kind = Message::Kind::kSnapshot, .epoch = 7, .sequence = sequence};
    message.last = true;
    if (!chain.empty()) {
      message.changes.push_back({Message::Change::Kind::kStored, "", BytesOf(chain)});
    }
    return message;
  }
  static Message StoredDelta(uint64_t sequence, std::string parent, std::string hashes) {
    Message message{.epoch = 7, .sequence = sequence};
    message.changes.push_back(
        {Message::Change::Kind::kStored, std::move(parent), std::move(hashes)});
    return message;
  }

  FakeClock clock_;
  RoutingPool pool_{{.block_size = 16, .tree = {.index_segment_bits = 2}}};
  WorkerHandle worker_;
  std::unique_ptr<CacheStore> store_;
  CacheFollower follower_;
};

TEST_F(CacheFollowerTest, AsksForASnapshotFirstAndThenForWhatFollows) {
  EXPECT_EQ(follower_.BeginStream().epoch, 0u);
  EXPECT_FALSE(follower_.Apply(SnapshotOf(MakeChain(1, 3), 5).View()).has_value());
  EXPECT_TRUE(follower_.in_sync());
  EXPECT_EQ(follower_.BeginStream().epoch, 7u);
  EXPECT_EQ(follower_.BeginStream().next_sequence, 6u);
}

TEST_F(CacheFollowerTest, ASnapshotThatWasCutOffIsAskedForAgain) {
  Message chunk = SnapshotOf(MakeChain(1, 3), 5);
  chunk.last = false;
  follower_.Apply(chunk.View());
  EXPECT_FALSE(follower_.in_sync());
  EXPECT_EQ(follower_.BeginStream().epoch, 0u);
}

TEST_F(CacheFollowerTest, SequencesSeenAreIgnored) {
  const std::vector<BlockHash> chain = MakeChain(1, 3);
  follower_.Apply(SnapshotOf(std::span(chain).first(2), 5).View());
  const Message delta = StoredDelta(6, chain[1].ToBytes(), chain[2].ToBytes());
  EXPECT_FALSE(follower_.Apply(delta.View()).has_value());
  EXPECT_FALSE(follower_.Apply(delta.View()).has_value());
  EXPECT_EQ(store_->num_blocks(), 3u);
}

struct BadEvent {
  const char* name;
  Message message;
  ResyncCause cause;
};

TEST_F(CacheFollowerTest, WhatDoesNotFitDropsTheWorkerAndResyncs) {
  const std::vector<BlockHash> chain = MakeChain(1, 4);
  const std::string unknown = MakeChain(9, 1)[0].ToBytes();
  Message other_epoch = StoredDelta(6, "", unknown);
  other_epoch.epoch = 8;
  Message wrong_count{.kind = Message::Kind::kHeartbeat, .epoch = 7, .sequence = 5};
  wrong_count.num_blocks = 5;
  wrong_count.hash_xor = std::string(16, '\0');
  Message swapped = wrong_count;
  swapped.num_blocks = 4;
  Message short_xor = wrong_count;
  short_xor.hash_xor = "abc";
  Message removed{.epoch = 7, .sequence = 6};
  removed.changes.push_back({Message::Change::Kind::kRemoved, "", unknown});
  Message empty_snapshot_chain = SnapshotOf({}, 9);
  empty_snapshot_chain.changes.push_back({Message::Change::Kind::kStored, "", ""});
  const BadEvent events[] = {
      {"a gap", StoredDelta(7, "", unknown), ResyncCause::kGap},
      {"another epoch", other_epoch, ResyncCause::kEpoch},
      {"an unknown parent", StoredDelta(6, unknown, MakeChain(9, 2)[1].ToBytes()),
       ResyncCause::kMalformed},
      {"half a hash", StoredDelta(6, "", unknown + "x"), ResyncCause::kMalformed},
      {"half a parent", StoredDelta(6, "xyz", unknown), ResyncCause::kMalformed},
      {"no hashes", StoredDelta(6, "", ""), ResyncCause::kMalformed},
      {"an empty chain in a snapshot", empty_snapshot_chain, ResyncCause::kMalformed},
      {"removal of what it did not have", removed, ResyncCause::kMalformed},
      {"a wrong count", wrong_count, ResyncCause::kCount},
      {"a swap that the count misses", swapped, ResyncCause::kCount},
      {"a short checksum", short_xor, ResyncCause::kMalformed},
  };
  for (const BadEvent& event : events) {
    CacheFollower follower(kBlocksMax, *store_);
    follower.Apply(SnapshotOf(chain, 5).View());
    ASSERT_EQ(store_->num_blocks(), 4u);
    EXPECT_EQ(follower.Apply(event.message.View()), event.cause) << event.name;
    EXPECT_EQ(store_->num_blocks(), 0u) << event.name;
    EXPECT_FALSE(follower.in_sync());
    EXPECT_EQ(follower.BeginStream().epoch, 0u);
  }
}

TEST_F(CacheFollowerTest, MoreBlocksThanTheWorkerHasAreMalformed) {
  CacheFollower follower(10, *store_);
  EXPECT_EQ(follower.Apply(SnapshotOf(MakeChain(1, 11), 5).View()), ResyncCause::kMalformed);
  follower.BeginStream();
  EXPECT_FALSE(follower.Apply(SnapshotOf(MakeChain(1, 6), 5).View()).has_value());
  EXPECT_EQ(follower.Apply(StoredDelta(6, "", BytesOf(MakeChain(2, 5))).View()),
            ResyncCause::kMalformed);
}

// Streams under loss, duplication, delay, cuts and restarts; then quiet. The property of the
// design: the tree's blocks for the worker are the worker's cache.
class CacheFollowerPropertyTest : public CacheFollowerTest,
                                  public ::testing::WithParamInterface<uint32_t> {
 protected:
  void Deliver(const Message& message) {
    if (follower_.Apply(message.View()).has_value()) Reopen();
  }
  void Reopen() { in_flight_ = remote_.Open(follower_.BeginStream()); }
  void DeliverAll() {
    while (!in_flight_.empty()) {
      const Message message = in_flight_.front();
      in_flight_.pop_front();
      Deliver(message);
    }
  }
  void FaultyStep() {
    switch (random_() % 16) {
      case 0:
        if (!in_flight_.empty()) in_flight_.pop_front();  // lost
        break;
      case 1:
        if (!in_flight_.empty()) in_flight_.push_front(in_flight_.front());  // doubled
        break;
      case 2:
        if (in_flight_.size() > 1) std::swap(in_flight_[0], in_flight_[1]);  // reordered
        break;
      case 3:
        Reopen();  // connection lost with what was in flight
        break;
      case 4:
        if (random_() % 10 == 0) {
          remote_.Restart();
          Reopen();
        }
        break;
      case 5:
        in_flight_.push_back(remote_.Heartbeat());
        break;
      default: {
        const uint64_t before = remote_.sequence();
        remote_.Act();
        if (remote_.sequence() != before) in_flight_.push_back(remote_.last());
        if (!in_flight_.empty() && random_() % 4 != 0) {
          const Message message = in_flight_.front();
          in_flight_.pop_front();
          Deliver(message);
        }
      }
    }
  }
  void ExpectEqual() {
    EXPECT_TRUE(follower_.in_sync());
    EXPECT_EQ(store_->num_blocks(), remote_.held().size());
    BlockHash hash_xor;
    for (const BlockHash& hash : remote_.held()) hash_xor = hash_xor ^ hash;
    EXPECT_EQ(store_->hash_xor(), hash_xor);
  }

  std::mt19937 random_{GetParam()};
  SimulatedWorker remote_{GetParam()};
  std::deque<Message> in_flight_;
};

TEST_P(CacheFollowerPropertyTest, AfterAnyLossDuplicationAndReconnectTheTreeIsTheCache) {
  Reopen();
  for (int round = 0; round < 40; ++round) {
    for (int step = 0; step < 50; ++step) FaultyStep();
    DeliverAll();
    Deliver(remote_.Heartbeat());  // quiet: the cross-check, and what it asks for
    DeliverAll();
    ExpectEqual();
    if (HasFailure()) FAIL() << "in round " << round;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, CacheFollowerPropertyTest, ::testing::Range(1u, 33u));

}  // namespace
}  // namespace banyan::router
