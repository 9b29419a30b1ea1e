// Linear and Embed against reference/, and the independence of a row's bits.
#include <numeric>

#include "kernels/cpu/cpu_matrix.h"
#include "kernels/cpu/kernel_table.h"
#include "tests/kernels/cpu/cpu_fixture.h"

namespace banyan::kernels::testing {
namespace {

using LinearTest = PathTest;

std::vector<float> RunLinear(Backend& backend, const PackedMatrix& weight, OwnedMatrix x,
                             const std::vector<float>* bias) {
  OwnedMatrix y(x.view().rows, weight.rows());
  backend.Linear({.x = x.view(),
                  .weight = &weight,
                  .bias = bias == nullptr ? nullptr : bias->data(),
                  .y = y.view()});
  return y.Values();
}

TEST_P(LinearTest, AgreesWithReferenceOverEdgeShapes) {
  const DType dtype = GetParam().dtype;
  const auto cpu = MakeCpu(GetParam());
  const auto reference = MakeReference(dtype);
  struct Shape {
    int64_t m, n, c;
  };
  for (const Shape& shape : {Shape{0, 64, 32}, Shape{1, 1, 1}, Shape{1, 64, 64}, Shape{2, 65, 33},
                             Shape{3, 300, 127}, Shape{5, 31, 16}, Shape{7, 129, 258},
                             Shape{13, 512, 96}, Shape{17, 320, 1030}, Shape{100, 70, 1100}}) {
    const auto values = RandomValues(static_cast<size_t>(shape.n * shape.c), 1);
    const auto bias = RandomValues(static_cast<size_t>(shape.n), 2);
    const auto packed = PackValues(*cpu, shape.n, shape.c, values);
    const auto expected = PackValues(*reference, shape.n, shape.c, values);
    const OwnedMatrix x = RandomMatrix(shape.m, shape.c, dtype, 3);
    for (const std::vector<float>* b : {static_cast<const std::vector<float>*>(nullptr), &bias}) {
      EXPECT_LE(
          RelativeError(RunLinear(*cpu, *packed, x, b), RunLinear(*reference, *expected, x, b)),
          tolerances().Linear(shape.c))
          << shape.m << " x " << shape.n << " x " << shape.c;
    }
  }
}

TEST_P(LinearTest, RowsHaveTheBitsOfTheRowAloneForEveryBatchSizeAndThreadCount) {
  constexpr int64_t kOutputs = 330;  // five panels and a part
  constexpr int64_t kCols = 1155;    // odd, several blocks of k
  constexpr int64_t kRowsMax = 300;
  const DType dtype = GetParam().dtype;
  const auto one_thread = MakeCpu(GetParam(), 1);
  const auto values = RandomValues(kOutputs * kCols, 4);
  const OwnedMatrix x = RandomMatrix(kRowsMax, kCols, dtype, 5);
  const auto weight = PackValues(*one_thread, kOutputs, kCols, values);
  const auto rows_of = [&](int64_t begin, int64_t rows) {
    OwnedMatrix part(rows, kCols, dtype);
    OwnedMatrix all = x;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < kCols; ++c) part.Set(r, c, all.At(begin + r, c));
    }
    return part;
  };
  const bool scalar = GetParam().isa == cpu::Isa::kScalar;
  const int64_t alone_rows = scalar ? 24 : kRowsMax;
  std::vector<float> alone;
  for (int64_t r = 0; r < alone_rows; ++r) {
    const auto y = RunLinear(*one_thread, *weight, rows_of(r, 1), nullptr);
    alone.insert(alone.end(), y.begin(), y.end());
  }
  for (int threads : {1, 2, 3}) {
    const auto backend = MakeCpu(GetParam(), threads);
    const auto packed = PackValues(*backend, kOutputs, kCols, values);
    for (int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 16, 17, 23, 24, 32, 64, 97, 128, 300}) {
      if (m > alone_rows || (threads != 2 && m > 24)) continue;
      const auto y = RunLinear(*backend, *packed, rows_of(0, m), nullptr);
      const std::vector<float> want(alone.begin(), alone.begin() + m * kOutputs);
      ASSERT_EQ(y, want) << m << " rows, " << threads << " threads";
    }
  }
}

TEST_P(LinearTest, BitsDoNotDependOnPanelWidth) {
  const cpu::KernelTable& kernels = cpu::KernelsFor(GetParam().isa, GetParam().dtype);
  constexpr int64_t kOutputs = 190;
  constexpr int64_t kCols = 300;
  constexpr int64_t kRows = 8;
  const auto values = RandomValues(kOutputs * kCols, 6);
  MatrixSource source{.name = "w", .rows = kOutputs, .cols = kCols, .read_rows = {}};
  source.read_rows = [&](int64_t begin, int64_t end, float* out) {
    std::copy(values.begin() + begin * kCols, values.begin() + end * kCols, out);
  };
  std::vector<std::vector<float>> results;
  for (int threads : {1, 2}) {  // 190 outputs: 3 panels of 64, or 6 of 32 that two threads share
    cpu::ThreadPool pool(threads);
    cpu::MemoryArena arena;
    auto matrix = *cpu::CpuMatrix::Pack(source, GetParam().dtype, arena, pool);
    EXPECT_EQ(matrix->width(), threads == 1 ? 64 : 32);
    OwnedMatrix x = RandomMatrix(kRows, kCols, GetParam().dtype, 7);
    OwnedMatrix y(kRows, kOutputs);
    for (int64_t panel = 0; panel < matrix->num_panels(); ++panel) {
      const int64_t first = panel * matrix->width();
      kernels.linear_panel(
          {.x = x.view().data,
           .x_pitch = x.view().pitch,
           .rows = kRows,
           .cols = kCols,
           .panel = matrix->Panel(panel),
           .width = matrix->width(),
           .outputs = static_cast<int>(std::min<int64_t>(matrix->width(), kOutputs - first)),
           .bias = nullptr,
           .y = y.view().Row<float>(0) + first,
           .y_pitch = y.view().pitch});
    }
    results.push_back(y.Values());
  }
  EXPECT_EQ(results[0], results[1]);
}

TEST_P(LinearTest, EmbedReadsRowsOfThePackedTableExactly) {
  const DType dtype = GetParam().dtype;
  const auto cpu = MakeCpu(GetParam());
  for (int64_t cols : {1, 33, 576}) {
    constexpr int64_t kVocabulary = 131;
    const auto values = RandomValues(static_cast<size_t>(kVocabulary * cols), 8);
    const auto table = PackValues(*cpu, kVocabulary, cols, values);
    std::vector<TokenId> tokens(kVocabulary);
    std::iota(tokens.rbegin(), tokens.rend(), 0);
    OwnedMatrix out(kVocabulary, cols);
    cpu->Embed({.table = table.get(), .token_ids = tokens.data(), .out = out.view()});
    for (int64_t t = 0; t < kVocabulary; ++t) {
      for (int64_t c = 0; c < cols; ++c) {
        const float exact = values[static_cast<size_t>(tokens[static_cast<size_t>(t)] * cols + c)];
        ASSERT_EQ(out.At(t, c), dtype == DType::kFloat32 ? exact : RoundToBFloat16(exact));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Paths, LinearTest, ::testing::ValuesIn(AllPaths()), PathName);

}  // namespace
}  // namespace banyan::kernels::testing
