// RmsNorm, SiluMul and GatherRows against reference/.
#include "tests/kernels/cpu/cpu_fixture.h"

namespace banyan::kernels::testing {
namespace {

using RowOpsTest = PathTest;

TEST_P(RowOpsTest, RmsNormAddsDeltaAndAgreesWithReference) {
  const auto cpu = MakeCpu(GetParam());
  const auto reference = MakeReference(GetParam().dtype);
  struct Shape {
    int64_t rows, cols;
  };
  for (const Shape& shape :
       {Shape{0, 8}, Shape{1, 1}, Shape{1, 576}, Shape{3, 17}, Shape{40, 2050}}) {
    const auto weight = RandomValues(static_cast<size_t>(shape.cols), 1);
    OwnedMatrix delta = RandomMatrix(shape.rows, shape.cols, DType::kFloat32, 2);
    for (bool with_delta : {false, true}) {
      std::vector<std::vector<float>> residuals;
      std::vector<std::vector<float>> outputs;
      for (Backend* backend : {cpu.get(), reference.get()}) {
        OwnedMatrix residual = RandomMatrix(shape.rows, shape.cols, DType::kFloat32, 3);
        OwnedMatrix out(shape.rows, shape.cols, GetParam().dtype);
        const Matrix delta_view = delta.view();
        backend->RmsNorm({.residual = residual.view(),
                          .delta = with_delta ? &delta_view : nullptr,
                          .weight = weight.data(),
                          .out = out.view()});
        residuals.push_back(residual.Values());
        outputs.push_back(out.Values());
      }
      EXPECT_EQ(residuals[0], residuals[1]);
      EXPECT_LE(RelativeError(outputs[0], outputs[1]), tolerances().Norm()) << shape.cols;
    }
  }
}

TEST_P(RowOpsTest, SiluMulAgreesWithReferenceUpToLargeInputs) {
  const auto cpu = MakeCpu(GetParam());
  const auto reference = MakeReference(GetParam().dtype);
  for (int64_t cols : {1, 16, 45, 1536}) {
    for (float scale : {1.0f, 30.0f, 300.0f}) {
      OwnedMatrix gate_up = RandomMatrix(9, 2 * cols, DType::kFloat32, 4);
      for (int64_t r = 0; r < 9; ++r) {
        for (int64_t c = 0; c < cols; ++c) gate_up.Set(r, c, gate_up.At(r, c) * scale);
      }
      OwnedMatrix got(9, cols, GetParam().dtype);
      OwnedMatrix want(9, cols, GetParam().dtype);
      cpu->SiluMul({.gate_up = gate_up.view(), .out = got.view()});
      reference->SiluMul({.gate_up = gate_up.view(), .out = want.view()});
      EXPECT_LE(RelativeError(got.Values(), want.Values()), tolerances().Silu()) << cols;
    }
  }
}

TEST_P(RowOpsTest, SiluMulPassesNanOn) {
  const auto cpu = MakeCpu(GetParam());
  OwnedMatrix gate_up = RandomMatrix(1, 64, DType::kFloat32, 5);
  gate_up.Set(0, 7, std::nanf(""));
  OwnedMatrix out(1, 32, GetParam().dtype);
  cpu->SiluMul({.gate_up = gate_up.view(), .out = out.view()});
  EXPECT_TRUE(std::isnan(out.At(0, 7)));
  EXPECT_FALSE(std::isnan(out.At(0, 6)));
}

TEST_P(RowOpsTest, GatherRowsCopiesRowsOfEitherDtype) {
  const auto cpu = MakeCpu(GetParam());
  OwnedMatrix in = RandomMatrix(50, 37, GetParam().dtype, 6);
  const std::vector<int32_t> rows = {49, 0, 0, 17};
  OwnedMatrix out(4, 37, GetParam().dtype);
  cpu->GatherRows({.in = in.view(), .rows = rows.data(), .out = out.view()});
  for (int64_t r = 0; r < 4; ++r) {
    for (int64_t c = 0; c < 37; ++c) {
      ASSERT_EQ(out.At(r, c), in.At(rows[static_cast<size_t>(r)], c));
    }
  }
}

TEST_P(RowOpsTest, RowsDoNotDependOnTheOtherRows) {
  const auto cpu = MakeCpu(GetParam());
  constexpr int64_t kRows = 70;
  constexpr int64_t kCols = 1500;
  const auto weight = RandomValues(kCols, 7);
  OwnedMatrix residual = RandomMatrix(kRows, kCols, DType::kFloat32, 8);
  OwnedMatrix all(kRows, kCols, GetParam().dtype);
  cpu->RmsNorm({.residual = residual.view(), .weight = weight.data(), .out = all.view()});
  for (int64_t r : {0, 1, 33, 69}) {
    OwnedMatrix one(1, kCols);
    for (int64_t c = 0; c < kCols; ++c) one.Set(0, c, residual.At(r, c));
    OwnedMatrix out(1, kCols, GetParam().dtype);
    cpu->RmsNorm({.residual = one.view(), .weight = weight.data(), .out = out.view()});
    for (int64_t c = 0; c < kCols; ++c) ASSERT_EQ(out.At(0, c), all.At(r, c));
  }
}

INSTANTIATE_TEST_SUITE_P(Paths, RowOpsTest, ::testing::ValuesIn(AllPaths()), PathName);

}  // namespace
}  // namespace banyan::kernels::testing
