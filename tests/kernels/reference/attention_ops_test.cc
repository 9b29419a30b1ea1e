// RopeKvWrite, Attention and CopyBlocks: together they are what a sequence's KV passes through.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/kernels/reference/op_fixture.h"

namespace banyan::kernels::testing {
namespace {

constexpr int kHeads = 4;
constexpr int kKvHeads = 2;
constexpr int kHeadSize = 8;
constexpr int kBlockSize = 4;
constexpr int64_t kQkvCols = (kHeads + 2 * kKvHeads) * kHeadSize;
constexpr int kMaxTokens = 700;

// Runs tokens of a fixed random sequence through the cache and attends.
class AttentionOpsTest : public ::testing::Test {
 protected:
  AttentionOpsTest() : backend_(MakeReference()), qkv_(RandomValues(kMaxTokens * kQkvCols, 11)) {
    for (int m = 0; m < kMaxTokens; ++m) {
      for (int i = 0; i < kHeadSize / 2; ++i) {
        const double angle = m * std::pow(100.0, -2.0 * i / kHeadSize);
        cos_.push_back(static_cast<float>(std::cos(angle)));
        sin_.push_back(static_cast<float>(std::sin(angle)));
      }
    }
  }

  std::unique_ptr<KvCache> MakeCache(int num_blocks) {
    auto cache = backend_->CreateKvCache({.num_layers = 2,
                                          .num_blocks = num_blocks,
                                          .block_size = kBlockSize,
                                          .num_kv_heads = kKvHeads,
                                          .head_size = kHeadSize});
    EXPECT_TRUE(cache.ok());
    return *std::move(cache);
  }

  // Writes the batch's tokens; row t of the batch holds token `tokens[t]` of the fixed sequence.
  // Returns q.
  OwnedMatrix Write(const OwnedBatch& batch, const std::vector<int>& tokens, KvCache& cache) {
    std::vector<float> values;
    for (int token : tokens) {
      const auto begin = qkv_.begin() + token * kQkvCols;
      values.insert(values.end(), begin, begin + kQkvCols);
    }
    OwnedMatrix qkv(batch.num_tokens(), kQkvCols, values);
    OwnedMatrix q(batch.num_tokens(), kHeads * kHeadSize);
    const RaggedBatch view = batch.view();
    backend_->RopeKvWrite({.batch = &view,
                           .qkv = qkv.view(),
                           .num_heads = kHeads,
                           .cos = cos_.data(),
                           .sin = sin_.data(),
                           .cache = &cache,
                           .layer = 1,
                           .q_out = q.view()});
    return q;
  }
  std::vector<float> Attend(const OwnedBatch& batch, OwnedMatrix q, const KvCache& cache,
                            int window = 0) {
    OwnedMatrix out(batch.num_tokens(), kHeads * kHeadSize);
    const RaggedBatch view = batch.view();
    backend_->Attention({.batch = &view,
                         .q = q.view(),
                         .num_heads = kHeads,
                         .scale = 0.35f,
                         .sliding_window = window,
                         .cache = &cache,
                         .layer = 1,
                         .out = out.view()});
    return out.Values();
  }
  std::vector<float> Run(const OwnedBatch& batch, const std::vector<int>& tokens, KvCache& cache,
                         int window = 0) {
    return Attend(batch, Write(batch, tokens, cache), cache, window);
  }
  // Outputs of tokens 0 .. length - 1 in one call over blocks 0, 1, 2, ...
  std::vector<float> RunWhole(int length, int window = 0) {
    auto cache = MakeCache(length / kBlockSize + 1);
    return Run(OwnedBatch({0}, {length}, {Iota(length / kBlockSize + 1)}), Iota(length), *cache,
               window);
  }

  static std::vector<int> Iota(int size, int first = 0) {
    std::vector<int> values(static_cast<size_t>(size));
    std::iota(values.begin(), values.end(), first);
    return values;
  }
  static constexpr size_t kOutCols = kHeads * kHeadSize;

  // A head of token t at offset `col` of its qkv row, rotated to `position`, in double precision.
  std::vector<double> Rotated(int token, int col, int position) {
    std::vector<double> head(kHeadSize);
    const size_t base = static_cast<size_t>(token * kQkvCols + col);
    constexpr size_t kHalf = kHeadSize / 2;
    for (size_t i = 0; i < kHalf; ++i) {
      const double angle = position * std::pow(100.0, -2.0 * static_cast<double>(i) / kHeadSize);
      const double a = qkv_[base + i];
      const double b = qkv_[base + i + kHalf];
      head[i] = a * std::cos(angle) - b * std::sin(angle);
      head[i + kHalf] = b * std::cos(angle) + a * std::sin(angle);
    }
    return head;
  }

  std::unique_ptr<Backend> backend_;
  std::vector<float> qkv_;
  std::vector<float> cos_;
  std::vector<float> sin_;
};

TEST_F(AttentionOpsTest, MatchesSoftmaxInDoublePrecisionWithAndWithoutWindow) {
  constexpr int kLength = 300;  // past one chunk of 256
  for (int window : {0, 1, 7, 270}) {
    const std::vector<float> out = RunWhole(kLength, window);
    for (int t : {0, 1, 6, 7, 255, 256, 299}) {
      for (int h = 0; h < kHeads; ++h) {
        const int kv_head = h / (kHeads / kKvHeads);
        const std::vector<double> q = Rotated(t, h * kHeadSize, t);
        std::vector<double> expected(kHeadSize, 0.0);
        double sum = 0;
        for (int j = window == 0 ? 0 : std::max(0, t - window + 1); j <= t; ++j) {
          const std::vector<double> k = Rotated(j, (kHeads + kv_head) * kHeadSize, j);
          const double weight =
              std::exp(0.35 * std::inner_product(q.begin(), q.end(), k.begin(), 0.0));
          sum += weight;
          for (size_t d = 0; d < kHeadSize; ++d) {
            const int col = (kHeads + kKvHeads + kv_head) * kHeadSize;
            expected[d] += weight * qkv_[static_cast<size_t>(j * kQkvCols + col) + d];
          }
        }
        for (size_t d = 0; d < kHeadSize; ++d) {
          EXPECT_NEAR(
              out[static_cast<size_t>(t) * kOutCols + static_cast<size_t>(h) * kHeadSize + d],
              expected[d] / sum, 2e-6)
              << "token " << t << " head " << h << " window " << window;
        }
      }
    }
  }
}

TEST_F(AttentionOpsTest, ChunkedCallsOverScatteredBlocksGiveTheBitsOfOneCall) {
  constexpr int kLength = 530;
  const std::vector<float> whole = RunWhole(kLength);
  auto cache = MakeCache(300);
  std::vector<int> table;
  for (int i = 0; i <= kLength / kBlockSize; ++i) table.push_back((i * 7 + 3) % 300);
  std::vector<float> chunked;
  for (int begin = 0, step = 1; begin < kLength; begin += step, step = step * 2 % 97 + 1) {
    const int size = std::min(step, kLength - begin);
    const std::vector<float> part =
        Run(OwnedBatch({begin}, {size}, {table}), Iota(size, begin), *cache);
    chunked.insert(chunked.end(), part.begin(), part.end());
  }
  EXPECT_EQ(chunked, whole);
}

TEST_F(AttentionOpsTest, SequencesOfOneBatchDoNotSeeEachOther) {
  auto cache = MakeCache(16);
  std::vector<int> tokens = Iota(9);
  const std::vector<int> more = Iota(6, 100);
  tokens.insert(tokens.end(), more.begin(), more.end());
  const std::vector<float> both =
      Run(OwnedBatch({0, 0}, {9, 6}, {{9, 2, 5}, {11, 0}}), tokens, *cache);
  auto other = MakeCache(2);
  const std::vector<float> alone = Run(OwnedBatch({0}, {6}, {{1, 0}}), more, *other);
  EXPECT_EQ(std::vector<float>(both.begin() + 9 * kOutCols, both.end()), alone);
}

TEST_F(AttentionOpsTest, APathThroughADraftTreeHasTheBitsOfPlainDecoding) {
  // 254 cached tokens, so that the path crosses a chunk boundary. New tokens by slot, which is not
  // the order of positions:
  //   0: position 254    1: position 256 after 2    2: position 255 after 0    3: 255, sibling of 2
  constexpr int kCached = 254;
  const std::vector<int> blocks = Iota(70);
  const std::vector<float> whole = RunWhole(kCached + 3);
  auto cache = MakeCache(70);
  Run(OwnedBatch({0}, {kCached}, {blocks}), Iota(kCached), *cache);
  OwnedBatch tree({kCached}, {4}, {blocks});
  tree.SetPositions({kCached, kCached + 2, kCached + 1, kCached + 1});
  tree.SetTree({{0}, {0, 1, 2}, {0, 2}, {0, 3}});
  const std::vector<float> out =
      Run(tree, {kCached, kCached + 2, kCached + 1, kCached + 50}, *cache);
  const auto row = [](const std::vector<float>& values, int index) {
    const auto begin = values.begin() + index * static_cast<int>(kOutCols);
    return std::vector<float>(begin, begin + static_cast<int>(kOutCols));
  };
  EXPECT_EQ(row(out, 0), row(whole, kCached));
  EXPECT_EQ(row(out, 2), row(whole, kCached + 1));
  EXPECT_EQ(row(out, 1), row(whole, kCached + 2));
  EXPECT_NE(row(out, 3), row(whole, kCached + 1));
}

TEST_F(AttentionOpsTest, CopiedBlocksServeAsWellAsTheOriginals) {
  const std::vector<float> whole = RunWhole(8);
  auto cache = MakeCache(5);
  Run(OwnedBatch({0}, {7}, {{0, 1}}), Iota(7), *cache);
  const BlockId from[] = {BlockId{0}, BlockId{1}, BlockId{3}};
  const BlockId to[] = {BlockId{3}, BlockId{4}, BlockId{2}};  // in order: block 2 is block 0
  backend_->CopyBlocks({.cache = cache.get(), .from = from, .to = to, .num_blocks = 3});
  const std::vector<float> last = Run(OwnedBatch({7}, {1}, {{2, 4}}), {7}, *cache);
  EXPECT_EQ(last, std::vector<float>(whole.end() - kOutCols, whole.end()));
}

TEST_F(AttentionOpsTest, HeadsAreNormalisedBeforeRotationWhereWeightsAreGiven) {
  auto cache = MakeCache(1);
  const std::vector<float> q_norm = RandomValues(kHeadSize, 20);
  const OwnedBatch batch({0}, {1}, {{0}});  // position 0: rotation does nothing
  OwnedMatrix qkv(1, kQkvCols, {qkv_.begin(), qkv_.begin() + kQkvCols});
  OwnedMatrix q(1, kHeads * kHeadSize);
  const RaggedBatch view = batch.view();
  backend_->RopeKvWrite({.batch = &view,
                         .qkv = qkv.view(),
                         .num_heads = kHeads,
                         .q_norm = q_norm.data(),
                         .norm_epsilon = 1e-6f,
                         .cos = cos_.data(),
                         .sin = sin_.data(),
                         .cache = cache.get(),
                         .layer = 0,
                         .q_out = q.view()});
  for (size_t h = 0; h < kHeads; ++h) {
    double squares = 0;
    for (size_t d = 0; d < kHeadSize; ++d) squares += std::pow(double{qkv_[h * kHeadSize + d]}, 2);
    for (size_t d = 0; d < kHeadSize; ++d) {
      EXPECT_NEAR(q.At(0, static_cast<int64_t>(h * kHeadSize + d)),
                  qkv_[h * kHeadSize + d] / std::sqrt(squares / kHeadSize + 1e-6) * q_norm[d],
                  1e-5);
    }
  }
}

TEST_F(AttentionOpsTest, KvBytesPerBlockAreWhatTheCacheTakes) {
  auto cache = MakeCache(6);
  EXPECT_EQ(cache->size_bytes(), 6 * backend_->KvBytesPerBlock(cache->shape()));
}

}  // namespace
}  // namespace banyan::kernels::testing
