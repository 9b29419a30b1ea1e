// What tests of the CPU backend share: backends of every path, and the one table of tolerances
// against reference/.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_backend.h"
#include "tests/kernels/reference/op_fixture.h"

namespace banyan::kernels::testing {

// One path and activation dtype.
struct Path {
  cpu::Isa isa = cpu::Isa::kScalar;
  DType dtype = DType::kFloat32;
};

// Every path that this machine can run, with both dtypes.
inline std::vector<Path> AllPaths() {
  std::vector<Path> paths;
  for (const cpu::Isa isa : {cpu::Isa::kScalar, cpu::Isa::kAvx2, cpu::Isa::kAvx512}) {
    if (!cpu::IsaSupported(isa)) continue;
    paths.push_back({isa, DType::kFloat32});
    paths.push_back({isa, DType::kBFloat16});
  }
  return paths;
}

inline std::string PathName(const ::testing::TestParamInfo<Path>& info) {
  return std::string(cpu::IsaName(info.param.isa)) +
         (info.param.dtype == DType::kFloat32 ? "Float32" : "BFloat16");
}

inline std::unique_ptr<Backend> MakeCpu(const Path& path, int threads = 2) {
  auto backend = CreateCpuBackend({.threads = threads, .isa = path.isa, .activation = path.dtype});
  BANYAN_CHECK(backend.ok()) << backend.status().ToString();
  BANYAN_CHECK((*backend)->Reserve({}).ok());
  return *std::move(backend);
}

// Largest error over largest value.
inline double RelativeError(const std::vector<float>& got, const std::vector<float>& want) {
  BANYAN_CHECK_EQ(got.size(), want.size());
  double error = 0;
  double largest = 1e-30;
  for (size_t i = 0; i < got.size(); ++i) {
    const double difference = std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i]));
    error = difference <= error ? error : difference;  // NaN sticks
    largest = std::max(largest, std::abs(static_cast<double>(want[i])));
  }
  return error / largest;
}

// Allowed RelativeError of each op against reference/ on equal inputs. In bfloat16 a value that is
// rounded once may round the other way: one unit in the last place.
struct Tolerances {
  DType dtype;
  double Linear(int64_t cols) const {
    return 1e-5 * std::sqrt(static_cast<double>(cols) / 2048 + 1);
  }
  double Norm() const { return dtype == DType::kFloat32 ? 1e-6 : 1.0 / 128; }
  double Silu() const { return dtype == DType::kFloat32 ? 1e-6 : 1.0 / 128; }
  double Rope() const { return dtype == DType::kFloat32 ? 1e-6 : 1.0 / 128; }
  // bfloat16: probabilities and outputs are rounded.
  double Attention() const { return dtype == DType::kFloat32 ? 2e-6 : 6e-3; }
  double Logprob() const { return 1e-5; }
};

class PathTest : public ::testing::TestWithParam<Path> {
 protected:
  Tolerances tolerances() const { return {GetParam().dtype}; }
};

inline OwnedMatrix RandomMatrix(int64_t rows, int64_t cols, DType dtype, uint64_t seed) {
  OwnedMatrix matrix(rows, cols, dtype);
  const std::vector<float> values = RandomValues(static_cast<size_t>(rows * cols), seed);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) matrix.Set(r, c, values[static_cast<size_t>(r * cols + c)]);
  }
  return matrix;
}

}  // namespace banyan::kernels::testing
