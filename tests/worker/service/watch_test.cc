// WatchLoad, WatchCache, GetWorkerInfo and GetModelCard over a real port, with a clock that only
// the test moves.
#include "common/rpc/digest.h"
#include "gmock/gmock.h"
#include "tests/worker/service/service_fixture.h"
#include "worker/service/cache_watch.h"

namespace banyan::worker {
namespace {

using ::testing::ElementsAre;

// --- WatchLoad ---

class LoadWatchTest : public ServiceFixture {
 protected:
  using Reader = std::unique_ptr<grpc::ClientReader<v1::WatchLoadResponse>>;

  Reader Watch(grpc::ClientContext& context, uint64_t router_id, uint32_t interval_ms = 0) {
    v1::WatchLoadRequest request;
    request.set_router_id(router_id);
    request.set_interval_ms(interval_ms);
    return stub_->WatchLoad(&context, request);
  }
  static v1::WatchLoadResponse Read(Reader& reader) {
    v1::WatchLoadResponse report;
    EXPECT_TRUE(reader->Read(&report));
    return report;
  }
  void Advance(int64_t ms) {
    clock_.Advance(std::chrono::milliseconds(ms));
    hub_.TickAll();
  }
};

TEST_F(LoadWatchTest, FirstReportComesAtOnceWithEverything) {
  EngineStats stats;
  stats.heartbeats = 5;
  stats.steps = 4;
  stats.last_step_end = clock_.Now() - std::chrono::microseconds(1'234);
  stats.running_sequences = 3;
  stats.decoding_sequences = 2;
  stats.decoding_kv_tokens = 99;
  stats.waiting_requests = 1;
  stats.waiting_prefill_tokens = 17;
  stats.oldest_waiting = std::chrono::microseconds(55);
  stats.blocks_total = 32;
  stats.blocks_used = 10;
  stats.blocks_cached = 5;
  stats.blocks_wanted = 2;
  stats.prefill_tokens_per_s = 1'000;
  stats.decode_step_us = 500;
  stats.step_cost = {1, 2, 3, 4};
  stats.prefix_lookup_tokens = 8;
  stats.prefix_hit_tokens = 7;
  engine_.SetStats(stats);
  const auto context = Context();
  Reader reader = Watch(*context, 9);
  const v1::WatchLoadResponse report = Read(reader);
  EXPECT_EQ(report.epoch(), kTestEpoch);
  EXPECT_EQ(report.sequence(), 1u);
  EXPECT_EQ(report.state(), v1::WORKER_STATE_SERVING);
  EXPECT_EQ(report.heartbeats(), 5u);
  EXPECT_EQ(report.since_step_us(), 1'234u);
  EXPECT_EQ(report.running_sequences(), 3u);
  EXPECT_EQ(report.decoding_sequences(), 2u);
  EXPECT_EQ(report.decoding_kv_tokens(), 99u);
  EXPECT_EQ(report.waiting_prefill_tokens(), 17u);
  EXPECT_EQ(report.oldest_waiting_us(), 55u);
  EXPECT_EQ(report.kv_blocks_total(), 32u);
  EXPECT_EQ(report.kv_blocks_used(), 10u);
  EXPECT_EQ(report.kv_blocks_cached(), 5u);
  EXPECT_EQ(report.kv_blocks_wanted(), 2u);
  EXPECT_EQ(report.step_cost().per_kv_token_us(), 4);
  EXPECT_EQ(report.step_tokens_max(), 64u);
  EXPECT_EQ(report.running_sequences_max(), 4u);
  EXPECT_EQ(report.num_routers(), 1u);
  context->TryCancel();
}

TEST_F(LoadWatchTest, AStepIsReportedOnceTheIntervalHasPassed) {
  const auto context = Context();
  Reader reader = Watch(*context, 9, 40);
  EXPECT_EQ(Read(reader).steps(), 0u);
  engine_.ChangeStats([](EngineStats& stats) { stats.steps = 1; });
  Advance(39);  // too early
  engine_.ChangeStats([](EngineStats& stats) { stats.steps = 2; });
  Advance(1);
  EXPECT_EQ(Read(reader).steps(), 2u);
  context->TryCancel();
}

TEST_F(LoadWatchTest, IdleReportsComeEveryHundredMilliseconds) {
  const auto context = Context();
  Reader reader = Watch(*context, 9);
  EXPECT_EQ(Read(reader).sequence(), 1u);
  engine_.ChangeStats([](EngineStats& stats) { stats.heartbeats = 1; });
  Advance(99);  // too early
  engine_.ChangeStats([](EngineStats& stats) { stats.heartbeats = 2; });
  Advance(1);
  const v1::WatchLoadResponse report = Read(reader);
  EXPECT_EQ(report.sequence(), 2u);
  EXPECT_EQ(report.heartbeats(), 2u);
  context->TryCancel();
}

TEST_F(LoadWatchTest, AChangeOfStateIsReportedAtOnce) {
  const auto context = Context();
  Reader reader = Watch(*context, 9, 10'000);
  EXPECT_EQ(Read(reader).state(), v1::WORKER_STATE_SERVING);
  engine_.Drain(clock_.Now());
  hub_.TickAll();
  EXPECT_EQ(Read(reader).state(), v1::WORKER_STATE_DRAINING);
  context->TryCancel();
}

TEST_F(LoadWatchTest, EachRouterHearsOfItsOwnDispatches) {
  engine_.RefuseSubmits(absl::ResourceExhaustedError("full"));
  for (const uint64_t sequence : {3u, 2u}) {
    v1::GenerateTokensRequest request = TestRequest("r1");
    request.set_dispatch_sequence(sequence);
    const auto context = Context();
    auto stream = stub_->GenerateTokens(context.get(), request);
    v1::GenerateTokensResponse message;
    EXPECT_FALSE(stream->Read(&message));
    EXPECT_FALSE(stream->Finish().ok());
  }
  const auto mine = Context();
  Reader my_reader = Watch(*mine, 9);
  EXPECT_EQ(Read(my_reader).dispatch_sequence_seen(), 3u);
  const auto other = Context();
  Reader other_reader = Watch(*other, 10);
  const v1::WatchLoadResponse report = Read(other_reader);
  EXPECT_EQ(report.dispatch_sequence_seen(), 0u);
  EXPECT_EQ(report.num_routers(), 2u);
  mine->TryCancel();
  other->TryCancel();
}

TEST_F(LoadWatchTest, ADispatchIsSeenOnceTheStatsContainIt) {
  engine_.ChangeStats([](EngineStats& stats) { stats.heartbeats = 7; });
  const auto call = Context();
  const auto stream = stub_->GenerateTokens(call.get(), TestRequest("r1"));
  const auto submitted = engine_.WaitFor("r1");
  submitted.sink->OnFinish(absl::CancelledError(""), {}, {});
  v1::GenerateTokensResponse end;
  EXPECT_FALSE(stream->Read(&end));  // the handler has returned
  const auto context = Context();
  Reader reader = Watch(*context, 9);
  EXPECT_EQ(Read(reader).dispatch_sequence_seen(), 0u);
  // Turn 8 may have taken its inbox before the request came; turn 9 has it.
  engine_.ChangeStats([](EngineStats& stats) { stats.heartbeats = 9; });
  Advance(100);
  EXPECT_EQ(Read(reader).dispatch_sequence_seen(), 1u);
  context->TryCancel();
}

TEST_F(LoadWatchTest, AWorkerThatGoesEndsItsStreams) {
  const auto context = Context();
  Reader reader = Watch(*context, 9);
  Read(reader);
  hub_.Close();
  hub_.TickAll();
  v1::WatchLoadResponse report;
  EXPECT_FALSE(reader->Read(&report));
  EXPECT_EQ(rpc::ReasonOf(rpc::FromGrpcStatus(reader->Finish())),
            rpc::ErrorReason::kWorkerDraining);
}

TEST_F(LoadWatchTest, IntervalHasLimits) {
  for (const uint32_t bad : {9u, 10'001u}) {
    const auto context = Context();
    Reader reader = Watch(*context, 9, bad);
    v1::WatchLoadResponse report;
    EXPECT_FALSE(reader->Read(&report));
    const absl::Status status = rpc::FromGrpcStatus(reader->Finish());
    ASSERT_EQ(rpc::ViolationsOf(status).size(), 1u) << status;
    EXPECT_EQ(rpc::ViolationsOf(status)[0].field, "interval_ms");
  }
}

// --- WatchCache ---

BlockHash Hash(uint64_t n) { return {n, n + 1}; }

CacheEvent Stored(std::vector<BlockHash> hashes, std::optional<BlockHash> parent = std::nullopt) {
  CacheEvent event;
  event.kind = CacheEvent::Kind::kStored;
  event.starts_sequence = !parent.has_value();
  event.parent = parent.value_or(BlockHash{});
  event.hashes = std::move(hashes);
  return event;
}

CacheEvent Removed(std::vector<BlockHash> hashes) {
  CacheEvent event;
  event.kind = CacheEvent::Kind::kRemoved;
  event.hashes = std::move(hashes);
  return event;
}

class CacheWatchTest : public ServiceFixture {
 protected:
  using Reader = std::unique_ptr<grpc::ClientReader<v1::WatchCacheResponse>>;

  Reader Watch(grpc::ClientContext& context, uint64_t epoch = 0, uint64_t next_sequence = 0) {
    v1::WatchCacheRequest request;
    request.set_epoch(epoch);
    request.set_next_sequence(next_sequence);
    return stub_->WatchCache(&context, request);
  }
  static v1::WatchCacheResponse Read(Reader& reader) {
    v1::WatchCacheResponse message;
    EXPECT_TRUE(reader->Read(&message));
    EXPECT_EQ(message.epoch(), kTestEpoch);
    EXPECT_LE(message.ByteSizeLong(), kCacheMessageBytesMax);
    return message;
  }
};

TEST_F(CacheWatchTest, EmptyCacheIsOneEmptyLastChunk) {
  const auto context = Context();
  Reader reader = Watch(*context);
  const v1::WatchCacheResponse message = Read(reader);
  EXPECT_EQ(message.sequence(), 0u);
  ASSERT_TRUE(message.has_snapshot());
  EXPECT_TRUE(message.snapshot().last());
  EXPECT_TRUE(message.snapshot().chains().empty());
  context->TryCancel();
}

TEST_F(CacheWatchTest, EventsFollowTheSnapshotWithoutAGap) {
  engine_.AppendEvent(Stored({Hash(1), Hash(2)}));
  engine_.SetSnapshot({Stored({Hash(1), Hash(2)})});
  const auto context = Context();
  Reader reader = Watch(*context);
  v1::WatchCacheResponse message = Read(reader);
  EXPECT_EQ(message.sequence(), 1u);
  ASSERT_EQ(message.snapshot().chains_size(), 1);
  EXPECT_TRUE(message.snapshot().chains(0).parent_hash().empty());
  EXPECT_EQ(message.snapshot().chains(0).hashes(), Hash(1).ToBytes() + Hash(2).ToBytes());

  engine_.AppendEvent(Stored({Hash(3)}, Hash(2)));
  engine_.AppendEvent(Removed({Hash(3), Hash(2)}));
  CacheEvent cleared;
  cleared.kind = CacheEvent::Kind::kCleared;
  engine_.AppendEvent(cleared);
  hub_.TickAll();
  message = Read(reader);
  EXPECT_EQ(message.sequence(), 2u);
  EXPECT_EQ(message.delta().changes(0).stored().parent_hash(), Hash(2).ToBytes());
  EXPECT_EQ(message.delta().changes(0).stored().hashes(), Hash(3).ToBytes());
  message = Read(reader);
  EXPECT_EQ(message.sequence(), 3u);
  EXPECT_EQ(message.delta().changes(0).removed_hashes(), Hash(3).ToBytes() + Hash(2).ToBytes());
  message = Read(reader);
  EXPECT_EQ(message.sequence(), 4u);
  EXPECT_TRUE(message.delta().changes(0).cleared());
  context->TryCancel();
}

TEST_F(CacheWatchTest, LargeSnapshotsComeInChunksThatAddUp) {
  std::vector<CacheEvent> chains;
  uint64_t n = 0;
  for (int chain = 0; chain < 3; ++chain) {
    std::vector<BlockHash> hashes;
    for (int i = 0; i < 5'000; ++i) hashes.push_back(Hash(++n));
    chains.push_back(Stored(std::move(hashes)));
  }
  for (int i = 0; i < 2'000; ++i) chains.push_back(Stored({Hash(++n)}, Hash(1)));
  engine_.SetSnapshot(chains);
  const auto context = Context();
  Reader reader = Watch(*context);
  uint64_t seen = 0;
  for (uint32_t index = 0;; ++index) {
    const v1::WatchCacheResponse message = Read(reader);
    ASSERT_TRUE(message.has_snapshot());
    EXPECT_EQ(message.snapshot().index(), index);
    for (const v1::BlockChain& chain : message.snapshot().chains()) {
      ASSERT_FALSE(chain.hashes().empty());
      for (size_t at = 0; at < chain.hashes().size(); at += 16) {
        const BlockHash hash = BlockHash::FromBytes(chain.hashes().substr(at, 16));
        ASSERT_EQ(hash, Hash(++seen));
        if (at != 0) continue;
        // A piece of a cut chain hangs on the block before it.
        const bool starts = seen % 5'000 == 1 && seen <= 15'000;
        const BlockHash parent = seen > 15'000 ? Hash(1) : Hash(seen - 1);
        ASSERT_EQ(chain.parent_hash(), starts ? "" : parent.ToBytes()) << seen;
      }
    }
    if (message.snapshot().last()) break;
  }
  EXPECT_EQ(seen, n);
  context->TryCancel();
}

TEST_F(CacheWatchTest, ResumesFromTheRing) {
  for (uint64_t i = 1; i <= 3; ++i) engine_.AppendEvent(Stored({Hash(i)}));
  const auto context = Context();
  Reader reader = Watch(*context, kTestEpoch, 2);
  EXPECT_EQ(Read(reader).sequence(), 2u);
  const v1::WatchCacheResponse message = Read(reader);
  EXPECT_EQ(message.sequence(), 3u);
  EXPECT_EQ(message.delta().changes(0).stored().hashes(), Hash(3).ToBytes());
  context->TryCancel();
}

TEST_F(CacheWatchTest, ResumesAtTheNewestWithoutASnapshot) {
  engine_.AppendEvent(Stored({Hash(1)}));
  const auto context = Context();
  Reader reader = Watch(*context, kTestEpoch, 2);
  engine_.AppendEvent(Stored({Hash(2)}));
  hub_.TickAll();
  // The event may come after the stream opened or with its first tick: both are gap-free.
  std::thread ticker([&] { hub_.TickAll(); });
  const v1::WatchCacheResponse message = Read(reader);
  ticker.join();
  EXPECT_EQ(message.sequence(), 2u);
  EXPECT_TRUE(message.has_delta());
  context->TryCancel();
}

TEST_F(CacheWatchTest, OtherEpochOldOrFutureSequenceGetASnapshot) {
  for (uint64_t i = 1; i <= 3; ++i) engine_.AppendEvent(Stored({Hash(i)}));
  engine_.DropEventsThrough(2);
  struct Ask {
    uint64_t epoch;
    uint64_t next;
  };
  for (const Ask ask : {Ask{0, 0}, Ask{5, 3}, Ask{kTestEpoch, 0}, Ask{kTestEpoch, 2},
                        Ask{kTestEpoch, 5}, Ask{kTestEpoch, UINT64_MAX}}) {
    const auto context = Context();
    Reader reader = Watch(*context, ask.epoch, ask.next);
    const v1::WatchCacheResponse message = Read(reader);
    EXPECT_TRUE(message.has_snapshot()) << ask.epoch << " " << ask.next;
    EXPECT_EQ(message.sequence(), 3u);
    context->TryCancel();
  }
}

TEST_F(CacheWatchTest, AWatcherThatFellOutOfTheRingGetsAFreshSnapshot) {
  const auto context = Context();
  Reader reader = Watch(*context);
  EXPECT_TRUE(Read(reader).has_snapshot());
  engine_.AppendEvent(Stored({Hash(1)}));
  engine_.DropEventsThrough(1);
  engine_.SetSnapshot({Stored({Hash(1)})});
  hub_.TickAll();
  const v1::WatchCacheResponse message = Read(reader);
  ASSERT_TRUE(message.has_snapshot());
  EXPECT_EQ(message.sequence(), 1u);
  EXPECT_EQ(message.snapshot().index(), 0u);
  context->TryCancel();
}

TEST_F(CacheWatchTest, HeartbeatComesEverySecondWithCountAndXor) {
  engine_.AppendEvent(Stored({Hash(1), Hash(2)}));
  engine_.SetSnapshot({Stored({Hash(1), Hash(2)})});
  const auto context = Context();
  Reader reader = Watch(*context);
  EXPECT_TRUE(Read(reader).has_snapshot());
  hub_.TickAll();
  clock_.Advance(std::chrono::milliseconds(999));
  hub_.TickAll();  // too early
  clock_.Advance(std::chrono::milliseconds(1));
  hub_.TickAll();
  const v1::WatchCacheResponse message = Read(reader);
  ASSERT_TRUE(message.has_heartbeat());
  EXPECT_EQ(message.sequence(), 1u);
  EXPECT_EQ(message.heartbeat().num_blocks(), 2u);
  EXPECT_EQ(message.heartbeat().hash_xor(), (Hash(1) ^ Hash(2)).ToBytes());
  context->TryCancel();
}

// --- GetWorkerInfo and GetModelCard ---

using InfoTest = ServiceFixture;

TEST_F(InfoTest, WorkerInfoSaysWhatTheWorkerIs) {
  v1::GetWorkerInfoResponse info;
  ASSERT_TRUE(stub_->GetWorkerInfo(Context().get(), {}, &info).ok());
  EXPECT_EQ(info.worker_id(), "w0");
  EXPECT_EQ(info.epoch(), kTestEpoch);
  EXPECT_EQ(info.model_fingerprint(), kTestFingerprint);
  EXPECT_EQ(info.model_card_digest(), card_.digest());
  EXPECT_EQ(info.block_size_tokens(), 16u);
  EXPECT_EQ(info.num_kv_blocks(), 32u);
  EXPECT_EQ(info.block_hash_version(), kBlockHashVersion);
  EXPECT_EQ(info.max_waiting_requests(), 8u);
  EXPECT_FALSE(info.supports_embeddings());
}

TEST_F(InfoTest, TheCardMakesTheRoundTrip) {
  const auto context = Context();
  auto reader = stub_->GetModelCard(context.get(), {});
  std::map<std::string, std::string> assets;
  std::map<std::string, std::string> digests;
  v1::GetModelCardResponse piece;
  while (reader->Read(&piece)) {
    EXPECT_LE(piece.data().size(), kCardPieceBytesMax);
    EXPECT_EQ(digests.count(piece.name()), 0u) << "a piece after the last one";
    assets[piece.name()] += piece.data();
    if (!piece.sha256().empty()) digests[piece.name()] = piece.sha256();
  }
  EXPECT_TRUE(reader->Finish().ok());
  const TextAssets expected = TestAssets();
  ASSERT_EQ(assets.size(), expected.assets.size());
  rpc::Sha256 whole;
  for (const TextAsset& asset : expected.assets) {
    EXPECT_EQ(assets[asset.name], asset.bytes);
    EXPECT_EQ(digests[asset.name], rpc::Sha256Of(asset.bytes));
    whole.UpdateField(asset.name).UpdateField(digests[asset.name]);
  }
  EXPECT_EQ(whole.FinishHex(), card_.digest());
}

TEST_F(InfoTest, SingleAssetsComeByNameAndNoPathIsOpened) {
  v1::GetModelCardRequest request;
  request.add_names("config.json");
  request.add_names("config.json");
  const auto context = Context();
  auto reader = stub_->GetModelCard(context.get(), request);
  v1::GetModelCardResponse piece;
  ASSERT_TRUE(reader->Read(&piece));
  EXPECT_EQ(piece.data(), "{\"vocab\":100}");
  EXPECT_FALSE(reader->Read(&piece));
  EXPECT_TRUE(reader->Finish().ok());

  request.add_names("../../etc/passwd");
  const auto bad = Context();
  auto refused = stub_->GetModelCard(bad.get(), request);
  EXPECT_FALSE(refused->Read(&piece));
  const absl::Status status = rpc::FromGrpcStatus(refused->Finish());
  EXPECT_EQ(rpc::ReasonOf(status), rpc::ErrorReason::kAssetNotFound);
}

TEST_F(InfoTest, TheDigestDependsOnEveryAsset) {
  TextAssets assets = TestAssets();
  assets.assets[2].bytes.back() = 'u';
  EXPECT_NE(ModelCard(assets).digest(), card_.digest());
  assets = TestAssets();
  std::swap(assets.assets[0], assets.assets[2]);
  EXPECT_EQ(ModelCard(assets).digest(), card_.digest());
}

}  // namespace
}  // namespace banyan::worker
