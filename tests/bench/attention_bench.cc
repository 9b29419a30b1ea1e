// Attention of one layer: decode against a plain read of as many bytes as the KV it reads, prefill
// against the multiply-add units.
#include <numeric>

#include "tests/bench/op_bench.h"

namespace banyan::bench {
namespace {

constexpr int kBlockSize = 16;

// Sequences of equal length with scattered blocks, in a cache of one layer.
class AttentionBatch {
 public:
  AttentionBatch(Backend& backend, const ModelShape& shape, int sequences, int context, int num_new)
      : backend_(backend),
        shape_(shape),
        q_(backend, int64_t{sequences} * num_new, int64_t{shape.heads} * shape.head_size,
           DType::kBFloat16),
        out_(backend, int64_t{sequences} * num_new, int64_t{shape.heads} * shape.head_size,
             DType::kBFloat16) {
    const int blocks = (context + kBlockSize - 1) / kBlockSize;
    auto cache = backend.CreateKvCache({.num_layers = 1,
                                        .num_blocks = sequences * blocks,
                                        .block_size = kBlockSize,
                                        .num_kv_heads = shape.kv_heads,
                                        .head_size = shape.head_size});
    BANYAN_CHECK(cache.ok()) << cache.status().ToString();
    cache_ = *std::move(cache);
    const int pool_blocks = sequences * blocks;
    // A stride coprime with the pool scatters neighbours.
    int stride = 101;
    while (std::gcd(stride, pool_blocks) != 1) ++stride;
    for (int i = 0; i < pool_blocks; ++i) {
      tables_.push_back(static_cast<BlockId>(int64_t{i} * stride % pool_blocks));
    }
    for (int s = 0; s < sequences; ++s) {
      query_begin_.push_back(s * num_new);
      num_cached_.push_back(context - num_new);
      for (int j = 0; j < num_new; ++j) {
        positions_.push_back(context - num_new + j);
        sequence_of_.push_back(s);
      }
    }
    query_begin_.push_back(sequences * num_new);
    batch_ = {.num_sequences = sequences,
              .num_tokens = sequences * num_new,
              .query_begin = query_begin_.data(),
              .num_cached = num_cached_.data(),
              .positions = positions_.data(),
              .sequence_of = sequence_of_.data(),
              .block_tables = tables_.data(),
              .block_table_pitch = blocks};
  }
  void Run() {
    backend_.Attention({.batch = &batch_,
                        .q = q_.view(),
                        .num_heads = shape_.heads,
                        .scale = 0.125f,
                        .cache = cache_.get(),
                        .layer = 0,
                        .out = out_.view()});
  }
  size_t kv_bytes() const { return cache_->size_bytes(); }
  // Two products of D for each head, query and visible token.
  double flops() const {
    double visible = 0;
    for (const int32_t position : positions_) visible += position + 1;
    return visible * 4.0 * shape_.heads * shape_.head_size;
  }

 private:
  Backend& backend_;
  ModelShape shape_;
  BenchMatrix q_;
  BenchMatrix out_;
  std::unique_ptr<kernels::KvCache> cache_;
  std::vector<int32_t> query_begin_, num_cached_, positions_, sequence_of_;
  std::vector<BlockId> tables_;
  kernels::RaggedBatch batch_;
};

}  // namespace

void BenchAttention(const Options& options) {
  const auto backend = MakeBackend(options.threads);
  kernels::cpu::ThreadPool pool(options.threads);
  for (const auto& [sequences, context] : {std::pair{16, 4096}, {1, 8192}, {64, 512}}) {
    AttentionBatch batch(*backend, options.shape, sequences, context, 1);
    auto buffer = backend->Allocate(batch.kv_bytes());
    BANYAN_CHECK(buffer.ok()) << buffer.status().ToString();
    auto* memory = static_cast<char*>((*buffer)->data());
    std::fill_n(memory, batch.kv_bytes(), char{1});
    Compare(
        options, "attention decode " + std::to_string(sequences) + " x " + std::to_string(context),
        "GB/s", static_cast<double>(batch.kv_bytes()) * 1e-9,
        [&] { return Timed(WallSeconds, [&] { batch.Run(); }); },
        [&] { return Timed(WallSeconds, [&] { ReadMemory(memory, batch.kv_bytes(), pool); }); });
  }
  const auto single = MakeBackend(1);
  for (int context : {512, 4096}) {
    AttentionBatch batch(*single, options.shape, 1, context, 512);
    Compare(
        options, "attention prefill 512 of " + std::to_string(context) + ", one core", "GFLOP/s",
        batch.flops() * 1e-9, [&] { return Timed(ThreadSeconds, [&] { batch.Run(); }); },
        [&] {
          return Timed(ThreadSeconds, [&] { RunPeakLoop(PeakKind::kBFloat16, batch.flops()); });
        });
  }
}

}  // namespace banyan::bench
