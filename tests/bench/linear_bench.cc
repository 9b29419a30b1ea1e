// Linear layers: decode against a plain read of the weights, prefill against the multiply-add
// units.
#include "tests/bench/op_bench.h"

namespace banyan::bench {
namespace {

// The linear layers of some transformer layers and the head.
class LinearLayers {
 public:
  LinearLayers(Backend& backend, const ModelShape& shape, int num_layers, int64_t rows_max)
      : backend_(backend),
        hidden_(backend, rows_max, shape.hidden, DType::kBFloat16),
        inter_(backend, rows_max, shape.inter, DType::kBFloat16) {
    const int64_t qkv = int64_t{shape.heads + 2 * shape.kv_heads} * shape.head_size;
    out_ = std::make_unique<BenchMatrix>(backend, rows_max, std::max(2 * shape.inter, qkv),
                                         DType::kFloat32);
    for (int i = 0; i < num_layers; ++i) {
      Add(qkv, shape.hidden);
      Add(shape.hidden, int64_t{shape.heads} * shape.head_size);
      Add(2 * shape.inter, shape.hidden);
      Add(shape.hidden, shape.inter);
    }
  }
  size_t bytes() const { return bytes_; }
  double Flops(int64_t rows) const {
    return static_cast<double>(bytes_) * static_cast<double>(rows);
  }
  const kernels::cpu::CpuMatrix& Weight(size_t i) const {
    return static_cast<const kernels::cpu::CpuMatrix&>(*weights_[i]);
  }
  size_t size() const { return weights_.size(); }
  void Run(int64_t rows) {
    for (size_t i = 0; i < weights_.size(); ++i) RunOne(i, rows);
  }
  void RunOne(size_t i, int64_t rows) {
    const PackedMatrix& weight = *weights_[i];
    Matrix x = (weight.cols() == inter_.view().cols ? inter_ : hidden_).view(rows);
    Matrix y = out_->view(rows);
    y.cols = weight.rows();
    backend_.Linear({.x = x, .weight = &weight, .y = y});
  }

 private:
  void Add(int64_t rows, int64_t cols) {
    weights_.push_back(RandomWeight(backend_, rows, cols));
    bytes_ += weights_.back()->size_bytes();
  }

  Backend& backend_;
  BenchMatrix hidden_;
  BenchMatrix inter_;
  std::unique_ptr<BenchMatrix> out_;
  std::vector<std::unique_ptr<PackedMatrix>> weights_;
  size_t bytes_ = 0;
};

void BenchHead(const Options& options) {
  const ModelShape& shape = options.shape;
  const auto backend = MakeBackend(options.threads);
  kernels::cpu::ThreadPool pool(options.threads);
  const auto head = RandomWeight(*backend, shape.vocabulary, shape.hidden);
  const auto& matrix = static_cast<const kernels::cpu::CpuMatrix&>(*head);
  const BenchMatrix x(*backend, 1, shape.hidden, DType::kBFloat16);
  const BenchMatrix y(*backend, 1, shape.vocabulary, DType::kFloat32);
  Compare(
      options, "linear decode head M=1", "GB/s", static_cast<double>(head->size_bytes()) * 1e-9,
      [&] {
        return Timed(WallSeconds, [&] {
          backend->Linear({.x = x.view(), .weight = head.get(), .y = y.view()});
        });
      },
      [&] {
        return Timed(WallSeconds, [&] { ReadMemory(matrix.Panel(0), matrix.size_bytes(), pool); });
      });
}

}  // namespace

void BenchLinear(const Options& options) {
  const ModelShape& shape = options.shape;
  constexpr int kCycledLayers = 4;
  {
    const auto backend = MakeBackend(options.threads);
    kernels::cpu::ThreadPool pool(options.threads);
    LinearLayers layers(*backend, shape, kCycledLayers, 16);
    const auto read = [&] {
      return Timed(WallSeconds, [&] {
        for (size_t i = 0; i < layers.size(); ++i) {
          ReadMemory(layers.Weight(i).Panel(0), layers.Weight(i).size_bytes(), pool);
        }
      });
    };
    for (int64_t rows : {1, 2, 4, 8, 16}) {
      const Figures decode = Compare(
          options, "linear decode M=" + std::to_string(rows), "GB/s",
          static_cast<double>(layers.bytes()) * 1e-9,
          [&] { return Timed(WallSeconds, [&] { layers.Run(rows); }); }, read);
      if (decode.median == 0) continue;
      std::printf("    all %d layers without head: %.1f tok/s median, %.1f best\n", shape.layers,
                  static_cast<double>(rows * kCycledLayers) / (decode.median * shape.layers),
                  static_cast<double>(rows * kCycledLayers) / (decode.best * shape.layers));
    }
  }
  BenchHead(options);
  const auto backend = MakeBackend(1);
  LinearLayers layers(*backend, shape, 1, 512);
  for (int64_t rows : {8, 16, 32, 128, 512}) {
    const double flops = layers.Flops(rows);
    Compare(
        options, "linear prefill M=" + std::to_string(rows) + ", one core", "GFLOP/s", flops * 1e-9,
        [&] { return Timed(ThreadSeconds, [&] { layers.Run(rows); }); },
        [&] {
          const double limit_flops = std::min(flops, 2e9);
          return Timed(ThreadSeconds, [&] { RunPeakLoop(PeakKind::kBFloat16, limit_flops); }) *
                 flops / limit_flops;
        });
  }
}

}  // namespace banyan::bench
