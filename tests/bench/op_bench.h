// What the parts of kernels_bench share: shapes, options, the comparison of an op with its limit,
// random operands.
#pragma once

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/check.h"
#include "kernels/bfloat16.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/cpu_matrix.h"
#include "tests/bench/machine_limits.h"

namespace banyan::bench {

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
inline const ModelShape kShapes[] = {{"1b", 2048, 8192, 128256, 16, 32, 8, 64},
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
inline Figures FiguresOf(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return {samples[samples.size() / 2], samples.front()};
}

// Alternates op and limit for about `seconds`; prints the op's rate and percent of the limit.
// `work` is the op's amount and `limit_work` the limit's, in `unit` per second.
inline Figures Compare(const Options& options, const std::string& name, const char* unit,
                       double work, const std::function<double()>& op,
                       const std::function<double()>& limit) {
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

inline double Timed(double (*clock)(), const std::function<void()>& work) {
  const double begin = clock();
  work();
  return clock() - begin;
}

// Pseudo-random weights with few instructions each: packing shall not dominate the run.
inline std::unique_ptr<PackedMatrix> RandomWeight(Backend& backend, int64_t rows, int64_t cols) {
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

inline std::unique_ptr<Backend> MakeBackend(int threads) {
  auto backend = kernels::CreateCpuBackend({.threads = threads});
  BANYAN_CHECK(backend.ok()) << backend.status().ToString();
  BANYAN_CHECK((*backend)->Reserve({}).ok());
  return *std::move(backend);
}

// The parts: linear layers; attention; norms, SiLU and sampling.
void BenchLinear(const Options& options);
void BenchAttention(const Options& options);
void BenchRowOps(const Options& options);

}  // namespace banyan::bench
