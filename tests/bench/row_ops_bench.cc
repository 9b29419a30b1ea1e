// Norm, SiLU and sampling on one core, against a plain read of the bytes that they read.
#include <cmath>

#include "tests/bench/op_bench.h"

namespace banyan::bench {
namespace {

void BenchSampling(const Options& options, Backend& backend, kernels::cpu::ThreadPool& pool) {
  const int64_t vocabulary = options.shape.vocabulary;
  // Bell-shaped with a standard deviation of 3, as models give.
  std::vector<float> logits(static_cast<size_t>(vocabulary));
  uint32_t state = 1;
  for (float& logit : logits) {
    float sum = 0;
    for (int i = 0; i < 12; ++i) {
      state = state * 1664525u + 1013904223u;
      sum += static_cast<float>(state >> 8) * 0x1p-24f;
    }
    logit = 3 * (sum - 6);
  }
  struct Case {
    const char* name;
    kernels::SamplingRow row;
  };
  std::vector<Case> cases = {{"greedy", {}},
                             {"temperature 1", {}},
                             {"top_k 50", {}},
                             {"top_p 0.9", {}},
                             {"greedy, 5 logprobs", {}}};
  cases[0].row.temperature = 0;
  cases[2].row.top_k = 50;
  cases[3].row.top_p = 0.9f;
  cases[4].row.temperature = 0;
  cases[4].row.num_logprobs = 5;
  for (Case& c : cases) {
    Compare(
        options, std::string("sample ") + c.name, "rows/s", 1.0,
        [&] {
          kernels::SampledToken out;
          ++c.row.seed;
          return Timed(ThreadSeconds, [&] {
            backend.Sample({.logits = {.data = logits.data(),
                                       .rows = 1,
                                       .cols = vocabulary,
                                       .pitch = vocabulary},
                            .rows = &c.row,
                            .out = &out});
          });
        },
        [&] {
          return Timed(ThreadSeconds, [&] {
            ReadMemory(reinterpret_cast<const char*>(logits.data()), logits.size() * 4, pool);
          });
        });
  }
}

}  // namespace

void BenchRowOps(const Options& options) {
  const ModelShape& shape = options.shape;
  constexpr int64_t kRows = 512;
  const auto backend = MakeBackend(1);
  kernels::cpu::ThreadPool pool(1);
  const BenchMatrix residual(*backend, kRows, shape.hidden, DType::kFloat32);
  const BenchMatrix out(*backend, kRows, std::max(shape.hidden, shape.inter), DType::kBFloat16);
  const BenchMatrix gate_up(*backend, kRows, 2 * shape.inter, DType::kFloat32);
  const std::vector<float> weight(static_cast<size_t>(shape.hidden), 1.0f);
  const auto read = [&](const Matrix& matrix) {
    return Timed(ThreadSeconds, [&] {
      ReadMemory(static_cast<const char*>(matrix.data),
                 static_cast<size_t>(matrix.rows * matrix.pitch) * 4, pool);
    });
  };
  const auto gigabytes = [](const Matrix& m) {
    return static_cast<double>(m.rows * m.pitch) * 4e-9;
  };
  Matrix normed = out.view();
  normed.cols = shape.hidden;
  Compare(
      options, "rms_norm 512 rows, one core", "GB/s", gigabytes(residual.view()),
      [&] {
        return Timed(ThreadSeconds, [&] {
          backend->RmsNorm({.residual = residual.view(), .weight = weight.data(), .out = normed});
        });
      },
      [&] { return read(residual.view()); });
  Matrix product = out.view();
  product.cols = shape.inter;
  Compare(
      options, "silu_mul 512 rows, one core", "GB/s", gigabytes(gate_up.view()),
      [&] {
        return Timed(ThreadSeconds,
                     [&] { backend->SiluMul({.gate_up = gate_up.view(), .out = product}); });
      },
      [&] { return read(gate_up.view()); });
  BenchSampling(options, *backend, pool);
}

}  // namespace banyan::bench
