// RopeKvWrite, Attention and CopyBlocks against reference/, and the independence of a row's bits of
// chunking, threads and block placement.
#include <numeric>

#include "tests/kernels/cpu/cpu_fixture.h"
#include "tests/testing/sanitized.h"

namespace banyan::kernels::testing {
namespace {

constexpr int kBlockSize = 16;
constexpr int kLayer = 1;

struct Shape {
  int heads, kv_heads, head_size;
  int64_t QkvCols() const { return int64_t{heads + 2 * kv_heads} * head_size; }
};

// A fixed random sequence of tokens, run through one backend's cache.
class Runner {
 public:
  Runner(Backend& backend, DType dtype, const Shape& shape, int num_tokens)
      : backend_(backend),
        dtype_(dtype),
        shape_(shape),
        qkv_(RandomValues(static_cast<size_t>(num_tokens * shape.QkvCols()), 21)),
        norm_(RandomValues(static_cast<size_t>(shape.head_size), 22)) {
    for (float& value : qkv_) value *= 2;
    for (int m = 0; m < num_tokens; ++m) {
      for (int i = 0; i < shape.head_size / 2; ++i) {
        const double angle = m * std::pow(100.0, -2.0 * i / shape.head_size);
        cos_.push_back(static_cast<float>(std::cos(angle)));
        sin_.push_back(static_cast<float>(std::sin(angle)));
      }
    }
  }

  std::unique_ptr<KvCache> MakeCache(int num_blocks) {
    auto cache = backend_.CreateKvCache({.num_layers = 2,
                                         .num_blocks = num_blocks,
                                         .block_size = kBlockSize,
                                         .num_kv_heads = shape_.kv_heads,
                                         .head_size = shape_.head_size});
    BANYAN_CHECK(cache.ok());
    return *std::move(cache);
  }

  // Row t of the batch holds token tokens[t] of the sequence. Returns q.
  OwnedMatrix Write(const OwnedBatch& batch, const std::vector<int>& tokens, KvCache& cache,
                    bool with_norm = false) {
    OwnedMatrix qkv(batch.num_tokens(), shape_.QkvCols());
    for (int t = 0; t < batch.num_tokens(); ++t) {
      for (int64_t c = 0; c < shape_.QkvCols(); ++c) {
        qkv.Set(t, c,
                qkv_[static_cast<size_t>(tokens[static_cast<size_t>(t)] * shape_.QkvCols() + c)]);
      }
    }
    OwnedMatrix q(batch.num_tokens(), shape_.heads * shape_.head_size, dtype_);
    const RaggedBatch view = batch.view();
    backend_.RopeKvWrite({.batch = &view,
                          .qkv = qkv.view(),
                          .num_heads = shape_.heads,
                          .q_norm = with_norm ? norm_.data() : nullptr,
                          .k_norm = with_norm ? norm_.data() : nullptr,
                          .cos = cos_.data(),
                          .sin = sin_.data(),
                          .cache = &cache,
                          .layer = kLayer,
                          .q_out = q.view()});
    return q;
  }
  std::vector<float> Attend(const OwnedBatch& batch, OwnedMatrix q, const KvCache& cache,
                            int window = 0) {
    OwnedMatrix out(batch.num_tokens(), shape_.heads * shape_.head_size, dtype_);
    const RaggedBatch view = batch.view();
    backend_.Attention({.batch = &view,
                        .q = q.view(),
                        .num_heads = shape_.heads,
                        .scale = 0.2f,
                        .sliding_window = window,
                        .cache = &cache,
                        .layer = kLayer,
                        .out = out.view()});
    return out.Values();
  }
  std::vector<float> Run(const OwnedBatch& batch, const std::vector<int>& tokens, KvCache& cache,
                         int window = 0) {
    return Attend(batch, Write(batch, tokens, cache), cache, window);
  }

  // Attention of tokens [0, length), `chunk` new tokens a call.
  std::vector<float> RunInChunks(int length, int chunk, const std::vector<int32_t>& table,
                                 KvCache& cache, int window = 0) {
    std::vector<float> all;
    for (int begin = 0; begin < length; begin += chunk) {
      const int count = std::min(chunk, length - begin);
      std::vector<int> tokens(static_cast<size_t>(count));
      std::iota(tokens.begin(), tokens.end(), begin);
      const auto part = Run(OwnedBatch({begin}, {count}, {table}), tokens, cache, window);
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }

 private:
  Backend& backend_;
  DType dtype_;
  Shape shape_;
  std::vector<float> qkv_;
  std::vector<float> norm_;
  std::vector<float> cos_;
  std::vector<float> sin_;
};

std::vector<int32_t> Table(int num_blocks, int first = 0, int step = 1) {
  std::vector<int32_t> table(static_cast<size_t>(num_blocks));
  for (int i = 0; i < num_blocks; ++i) table[static_cast<size_t>(i)] = first + i * step;
  return table;
}

std::vector<int> Range(int begin, int end) {
  std::vector<int> range(static_cast<size_t>(end - begin));
  std::iota(range.begin(), range.end(), begin);
  return range;
}

using AttentionTest = PathTest;

TEST_P(AttentionTest, AgreesWithReferenceOverHeadsSizesAndContexts) {
  const DType dtype = GetParam().dtype;
  const auto cpu = MakeCpu(GetParam());
  const auto reference = MakeReference(dtype);
  for (const Shape& shape :
       {Shape{1, 1, 64}, Shape{6, 2, 64}, Shape{4, 1, 80}, Shape{8, 1, 128}, Shape{2, 2, 8}}) {
    for (int window : {0, 7}) {
      for (int length : {1, 15, 16, 17, 255, 257}) {
        // Under a sanitizer half a minute a path goes to the long rows of the wide shapes.
        const bool is_wide = shape.heads * shape.head_size > 64;
        if (banyan::testing::kSanitized && length > 17 && is_wide) continue;
        const int num_blocks = length / kBlockSize + 1;
        Runner got(*cpu, dtype, shape, length);
        Runner want(*reference, dtype, shape, length);
        const auto got_cache = got.MakeCache(num_blocks);
        const auto want_cache = want.MakeCache(num_blocks);
        // A prompt, then its last token as a decode.
        const OwnedBatch decode({length - 1}, {1}, {Table(num_blocks)});
        const OwnedBatch prompt({0}, {length - 1}, {Table(num_blocks)});
        for (const bool is_decode : {false, true}) {
          const auto tokens = is_decode ? Range(length - 1, length) : Range(0, length - 1);
          const OwnedBatch& batch = is_decode ? decode : prompt;
          EXPECT_LE(RelativeError(got.Run(batch, tokens, *got_cache, window),
                                  want.Run(batch, tokens, *want_cache, window)),
                    tolerances().Attention())
              << shape.heads << " heads of " << shape.head_size << ", length " << length;
        }
      }
    }
  }
}

TEST_P(AttentionTest, RopeWithHeadNormAgreesWithReference) {
  const DType dtype = GetParam().dtype;
  const auto cpu = MakeCpu(GetParam());
  const auto reference = MakeReference(dtype);
  for (int head_size : {2, 64, 80}) {
    const Shape shape{4, 2, head_size};
    Runner got(*cpu, dtype, shape, 40);
    Runner want(*reference, dtype, shape, 40);
    const auto got_cache = got.MakeCache(4);
    const auto want_cache = want.MakeCache(4);
    const OwnedBatch batch({0}, {40}, {Table(4)});
    OwnedMatrix got_q = got.Write(batch, Range(0, 40), *got_cache, true);
    OwnedMatrix want_q = want.Write(batch, Range(0, 40), *want_cache, true);
    EXPECT_LE(RelativeError(got_q.Values(), want_q.Values()), tolerances().Rope());
    EXPECT_LE(RelativeError(got.Attend(batch, got_q, *got_cache),
                            want.Attend(batch, want_q, *want_cache)),
              3 * tolerances().Attention());
  }
}

TEST_P(AttentionTest, BitsDoNotDependOnChunkingThreadsOrBlockPlacement) {
  const DType dtype = GetParam().dtype;
  const Shape shape = banyan::testing::kSanitized ? Shape{2, 1, 64} : Shape{6, 2, 64};
  constexpr int kLength = 615;
  constexpr int kBlocks = kLength / kBlockSize + 1;
  for (int window : {0, 300}) {
    std::vector<float> whole;
    for (int threads : {1, 2, 3}) {
      const auto backend = MakeCpu(GetParam(), threads);
      Runner runner(*backend, dtype, shape, kLength);
      // The larger chunks on every thread count, single tokens on one.
      for (int chunk : {kLength, 97, 13, 1}) {
        if (chunk == 1 && threads != 2) continue;
        const auto cache = runner.MakeCache(3 * kBlocks);
        const auto table =
            threads == 2 ? Table(kBlocks, 3 * kBlocks - 1, -2) : Table(kBlocks, threads);
        const auto got = runner.RunInChunks(kLength, chunk, table, *cache, window);
        if (whole.empty()) whole = got;
        ASSERT_EQ(got, whole) << "chunks of " << chunk << ", " << threads << " threads";
      }
    }
  }
}

TEST_P(AttentionTest, SequencesOfABatchDoNotDependOnEachOther) {
  const DType dtype = GetParam().dtype;
  const auto backend = MakeCpu(GetParam());
  Runner runner(*backend, dtype, {4, 1, 64}, 300);
  const auto cache = runner.MakeCache(40);
  // Three sequences that share tokens 0..270 but not blocks, at different lengths.
  const std::vector<std::vector<int32_t>> tables = {Table(17, 0), Table(17, 17), Table(2, 34)};
  const auto first = runner.RunInChunks(260, 260, tables[0], *cache);
  runner.RunInChunks(250, 250, tables[1], *cache);
  const std::vector<int> tokens = {260, 250, 251, 252, 0};
  const auto together = runner.Run(OwnedBatch({260, 250, 0}, {1, 3, 1}, tables), tokens, *cache);
  const auto alone_cache = runner.MakeCache(40);
  const auto alone = runner.RunInChunks(261, 261, tables[0], *alone_cache);
  const size_t row = 4 * 64;
  for (size_t i = 0; i < row; ++i) {
    ASSERT_EQ(together[i], alone[260 * row + i]);
    ASSERT_EQ(together[row + i], alone[250 * row + i]);
    ASSERT_EQ(together[3 * row + i], alone[252 * row + i]);
    ASSERT_EQ(together[4 * row + i], alone[i]);
  }
}

TEST_P(AttentionTest, StaleNanInReusedBlocksDoesNotLeak) {
  const DType dtype = GetParam().dtype;
  const auto backend = MakeCpu(GetParam());
  const Shape shape{2, 1, 64};
  Runner runner(*backend, dtype, shape, 16);
  const auto clean_cache = runner.MakeCache(1);
  const auto clean = runner.RunInChunks(5, 1, Table(1), *clean_cache);
  const auto cache = runner.MakeCache(1);
  OwnedMatrix qkv(16, shape.QkvCols(),
                  std::vector<float>(static_cast<size_t>(16 * shape.QkvCols()), std::nanf("")));
  OwnedMatrix q(16, 128, dtype);
  const OwnedBatch batch({0}, {16}, {Table(1)});
  const RaggedBatch view = batch.view();
  const std::vector<float> ones(16 * 32, 1.0f);
  backend->RopeKvWrite({.batch = &view,
                        .qkv = qkv.view(),
                        .num_heads = 2,
                        .cos = ones.data(),
                        .sin = ones.data(),
                        .cache = cache.get(),
                        .layer = kLayer,
                        .q_out = q.view()});
  EXPECT_EQ(runner.RunInChunks(5, 1, Table(1), *cache), clean);
  EXPECT_EQ(runner.RunInChunks(5, 5, Table(1), *cache), clean);
}

// A tree of drafts after `num_cached` tokens: two children of the last cached token, one of them
// with a chain. The chain's nodes have the bits that plain decoding gives.
TEST_P(AttentionTest, TreePathsHaveTheBitsOfPlainDecoding) {
  const DType dtype = GetParam().dtype;
  const auto backend = MakeCpu(GetParam());
  const auto reference = MakeReference(dtype);
  const Shape shape{6, 2, 64};
  const size_t row = 6 * 64;
  for (int num_cached : {0, 5, 252, 256}) {
    for (int window : {0, 6}) {
      const int blocks = num_cached / kBlockSize + 2;
      Runner runner(*backend, dtype, shape, num_cached + 20);
      const auto plain_cache = runner.MakeCache(blocks);
      const auto plain =
          runner.RunInChunks(num_cached + 4, num_cached + 4, Table(blocks), *plain_cache, window);
      // Nodes: 0 = token n, 1 = another token n, 2 = n + 1 after 0, 3 = n + 1 after 1, 4 = n + 2
      // after 2, 5 = n + 3 after 4.
      OwnedBatch tree({num_cached}, {6}, {Table(blocks)});
      const int n = num_cached;
      tree.SetPositions({n, n, n + 1, n + 1, n + 2, n + 3});
      tree.SetTree({{0}, {1}, {0, 2}, {1, 3}, {0, 2, 4}, {0, 2, 4, 5}});
      const std::vector<int> tokens = {n, n + 10, n + 1, n + 11, n + 2, n + 3};
      const auto run = [&](Runner& r) {
        const auto cache = r.MakeCache(blocks);
        if (n > 0) r.RunInChunks(n, n, Table(blocks), *cache, window);
        return r.Run(tree, tokens, *cache, window);
      };
      const auto got = run(runner);
      const std::vector<std::pair<size_t, int>> chain = {
          {0, n}, {2, n + 1}, {4, n + 2}, {5, n + 3}};
      for (const auto& [node, position] : chain) {
        for (size_t i = 0; i < row; ++i) {
          ASSERT_EQ(got[node * row + i], plain[static_cast<size_t>(position) * row + i])
              << "node " << node << " after " << num_cached;
        }
      }
      Runner expected(*reference, dtype, shape, num_cached + 20);
      EXPECT_LE(RelativeError(got, run(expected)), tolerances().Attention());
    }
  }
}

TEST_P(AttentionTest, CopiedBlocksHoldTheSameTokens) {
  const DType dtype = GetParam().dtype;
  const auto backend = MakeCpu(GetParam());
  Runner runner(*backend, dtype, {2, 2, 64}, 40);
  const auto cache = runner.MakeCache(10);
  runner.RunInChunks(33, 33, Table(3), *cache);
  const std::vector<BlockId> from = {BlockId{0}, BlockId{1}, BlockId{2}};
  const std::vector<BlockId> to = {BlockId{7}, BlockId{5}, BlockId{9}};
  backend->CopyBlocks(
      {.cache = cache.get(), .from = from.data(), .to = to.data(), .num_blocks = 3});
  const auto original = runner.Run(OwnedBatch({33}, {1}, {{0, 1, 2}}), {33}, *cache);
  const auto copy = runner.Run(OwnedBatch({33}, {1}, {{7, 5, 9}}), {33}, *cache);
  EXPECT_EQ(original, copy);
}

INSTANTIATE_TEST_SUITE_P(Paths, AttentionTest, ::testing::ValuesIn(AllPaths()), PathName);

}  // namespace
}  // namespace banyan::kernels::testing
