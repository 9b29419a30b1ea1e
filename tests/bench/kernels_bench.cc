// The CPU backend's ops beside their limits, on random weights of real shapes.
//
//   kernels_bench [--shape 1b|135m] [--threads N] [--seconds S] [--only SUBSTRING]
//
// Memory-bound ops (decode) run on all threads in wall time and are held against a plain read of
// the same bytes, alternating with it. Compute-bound ops (prefill) run on one thread in its
// processor time and are held against a register-only loop, alternating with it. Figures are the
// median and the best of all samples; percent is limit time over op time, median by median and best
// by best. Linear layers of four layers (half a gigabyte at 1b) are cycled, so that none comes from
// a cache.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "common/base/check.h"
#include "kernels/bfloat16.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/cpu_matrix.h"
#include "tests/bench/machine_limits.h"

namespace banyan::bench {
namespace {

using kernels::Backend;
using kernels::Buffer;
using kernels::DType;
using kernels::Matrix;
using kernels::PackedMatrix;

struct ModelShape {
  std::string name;
  int64_t hidden, inter, vocabulary;
  int layers, heads, kv_heads, head_size;
};
const ModelShape kShapes[] = {{"1b", 2048, 8192, 128256, 16, 32, 8, 64},
                              {"135m", 576, 1536, 49152, 30, 9, 3, 64}};

struct Options {
  ModelShape shape = kShapes[0];
  int threads = kernels::cpu::UsableCores();
  double seconds = 1.0;
  std::string only;
};

struct Figures {
  double median = 0;
  double best = 0;
};
Figures FiguresOf(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return {samples[samples.size() / 2], samples.front()};
}

// Alternates op and limit for about `seconds`; prints the op's rate and percent of the limit.
// `work` is the op's amount and `limit_work` the limit's, in `unit` per second.
Figures Compare(const Options& options, const std::string& name, const char* unit, double work,
                const std::function<double()>& op, const std::function<double()>& limit) {
  if (name.find(options.only) == std::string::npos) return {};
  std::vector<double> op_seconds;
  std::vector<double> limit_seconds;
  op();
  const double end = WallSeconds() + options.seconds;
  while (WallSeconds() < end || op_seconds.size() < 5) {
    op_seconds.push_back(op());
    limit_seconds.push_back(limit());
  }
  const Figures ops = FiguresOf(op_seconds);
  const Figures limits = FiguresOf(limit_seconds);
  std::printf("%-34s %9.2f %9.2f %-8s limit %8.2f %8.2f   %5.1f%% %5.1f%%   %zu samples\n",
              name.c_str(), work / ops.median, work / ops.best, unit, work / limits.median,
              work / limits.best, 100 * limits.median / ops.median, 100 * limits.best / ops.best,
              op_seconds.size());
  std::fflush(stdout);
  return ops;
}

double Timed(double (*clock)(), const std::function<void()>& work) {
  const double begin = clock();
  work();
  return clock() - begin;
}

// Pseudo-random weights with few instructions each: packing shall not dominate the run.
std::unique_ptr<PackedMatrix> RandomWeight(Backend& backend, int64_t rows, int64_t cols) {
  kernels::MatrixSource source{.name = "random", .rows = rows, .cols = cols, .read_rows = {}};
  source.read_rows = [cols](int64_t begin, int64_t end, float* out) {
    auto state = static_cast<uint32_t>(begin * 2654435761u + 1);
    for (int64_t i = 0; i < (end - begin) * cols; ++i) {
      state = state * 1664525u + 1013904223u;
      out[i] = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-36f;
    }
  };
  auto packed = backend.Pack(source);
  BANYAN_CHECK(packed.ok()) << packed.status().ToString();
  return *std::move(packed);
}

// A matrix in the backend's memory; the pitch is no multiple of 4 KiB, as the model's is.
class BenchMatrix {
 public:
  BenchMatrix(Backend& backend, int64_t rows, int64_t cols, DType dtype)
      : matrix_{.dtype = dtype,
                .rows = rows,
                .cols = cols,
                .pitch = cols + static_cast<int64_t>(64 / kernels::SizeOf(dtype))} {
    auto buffer = backend.Allocate(static_cast<size_t>(rows * matrix_.pitch) * SizeOf(dtype));
    BANYAN_CHECK(buffer.ok()) << buffer.status().ToString();
    buffer_ = *std::move(buffer);
    matrix_.data = buffer_->data();
    for (int64_t i = 0; i < rows * matrix_.pitch; ++i) {
      const float value = static_cast<float>((i * 7919) % 2001 - 1000) * 1e-3f;
      if (dtype == DType::kFloat32) {
        matrix_.Row<float>(0)[i] = value;
      } else {
        matrix_.Row<uint16_t>(0)[i] = kernels::BFloat16FromFloat(value);
      }
    }
  }
  Matrix view(int64_t rows) const {
    Matrix part = matrix_;
    part.rows = rows;
    return part;
  }
  Matrix view() const { return matrix_; }

 private:
  Matrix matrix_;
  std::unique_ptr<Buffer> buffer_;
};

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

std::unique_ptr<Backend> MakeBackend(int threads) {
  auto backend = kernels::CreateCpuBackend({.threads = threads});
  BANYAN_CHECK(backend.ok()) << backend.status().ToString();
  BANYAN_CHECK((*backend)->Reserve({}).ok());
  return *std::move(backend);
}

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

}  // namespace
}  // namespace banyan::bench

namespace {

banyan::bench::Options ParseOptions(int argc, char** argv) {
  banyan::bench::Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const std::string value = argv[i + 1];
    if (name == "--threads") options.threads = std::atoi(value.c_str());
    if (name == "--seconds") options.seconds = std::atof(value.c_str());
    if (name == "--only") options.only = value;
    if (name != "--shape") continue;
    for (const auto& shape : banyan::bench::kShapes) {
      if (shape.name == value) options.shape = shape;
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const banyan::bench::Options options = ParseOptions(argc, argv);
  std::printf("shape %s, %d threads, path %s\n%-34s %9s %9s %-8s\n", options.shape.name.c_str(),
              options.threads,
              std::string(banyan::kernels::cpu::IsaName(banyan::kernels::cpu::BestIsa())).c_str(),
              "op", "median", "best", "unit");
  banyan::bench::BenchLinear(options);
  return 0;
}
