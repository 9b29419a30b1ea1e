// Embed, RmsNorm, Linear, SiluMul, GatherRows against formulas in double precision.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/reference/op_fixture.h"

namespace banyan::kernels::testing {
namespace {

TEST(ReferenceEmbedTest, GivesTheRowsOfTheTable) {
  auto backend = MakeReference();
  const std::vector<float> values = RandomValues(19 * 5, 1);
  auto table = PackValues(*backend, 19, 5, values);
  const TokenId ids[] = {18, 0, 7, 7};
  OwnedMatrix out(4, 5);
  backend->Embed({.table = table.get(), .token_ids = ids, .out = out.view()});
  for (int t = 0; t < 4; ++t) {
    for (int c = 0; c < 5; ++c)
      EXPECT_EQ(out.At(t, c), values[static_cast<size_t>(ids[t] * 5 + c)]);
  }
}

TEST(ReferenceLinearTest, MatchesDoublePrecisionForSizesAroundThePanel) {
  for (int64_t outputs : {1, 15, 16, 17, 33}) {
    for (int64_t inputs : {1, 7, 64}) {
      auto backend = MakeReference();
      const std::vector<float> w = RandomValues(static_cast<size_t>(outputs * inputs), 2);
      const std::vector<float> x = RandomValues(static_cast<size_t>(3 * inputs), 3);
      const std::vector<float> bias = RandomValues(static_cast<size_t>(outputs), 4);
      auto weight = PackValues(*backend, outputs, inputs, w);
      EXPECT_EQ(weight->rows(), outputs);
      EXPECT_EQ(weight->cols(), inputs);
      EXPECT_EQ(weight->size_bytes(), backend->PackedBytes(outputs, inputs));
      OwnedMatrix input(3, inputs, x);
      OwnedMatrix y(3, outputs);
      backend->Linear({input.view(), weight.get(), bias.data(), y.view()});
      for (int64_t t = 0; t < 3; ++t) {
        for (int64_t n = 0; n < outputs; ++n) {
          double expected = bias[static_cast<size_t>(n)];
          for (int64_t c = 0; c < inputs; ++c) {
            expected += double{x[static_cast<size_t>(t * inputs + c)]} *
                        double{w[static_cast<size_t>(n * inputs + c)]};
          }
          EXPECT_NEAR(y.At(t, n), expected, 1e-5) << outputs << "x" << inputs;
        }
      }
    }
  }
}

TEST(ReferenceLinearTest, RowsDoNotDependOnTheRestOfTheBatch) {
  auto backend = MakeReference();
  auto weight = PackValues(*backend, 40, 30, RandomValues(1200, 5));
  OwnedMatrix x(9, 30, RandomValues(270, 6));
  OwnedMatrix all(9, 40);
  backend->Linear({x.view(), weight.get(), nullptr, all.view()});
  for (int64_t t = 0; t < 9; ++t) {
    Matrix row = x.view();
    row.data = row.Row<float>(t);
    row.rows = 1;
    OwnedMatrix alone(1, 40);
    backend->Linear({row, weight.get(), nullptr, alone.view()});
    for (int64_t n = 0; n < 40; ++n) EXPECT_EQ(alone.At(0, n), all.At(t, n));
  }
}

TEST(ReferenceLinearTest, BFloat16ModeRoundsWeights) {
  auto backend = MakeReference(DType::kBFloat16);
  auto weight = PackValues(*backend, 1, 1, {1.00390625f});  // 1 + 2^-8: a tie, to even
  OwnedMatrix x(1, 1, DType::kBFloat16);
  x.Set(0, 0, 1.0f);
  OwnedMatrix y(1, 1);
  backend->Linear({x.view(), weight.get(), nullptr, y.view()});
  EXPECT_EQ(y.At(0, 0), 1.0f);
}

TEST(ReferenceRmsNormTest, AddsTheDeltaToTheResidualAndNormalises) {
  auto backend = MakeReference();
  const std::vector<float> x = RandomValues(2 * 37, 7);
  const std::vector<float> d = RandomValues(2 * 37, 8);
  const std::vector<float> w = RandomValues(37, 9);
  OwnedMatrix residual(2, 37, x);
  OwnedMatrix delta(2, 37, d);
  OwnedMatrix out(2, 37);
  const Matrix delta_view = delta.view();
  backend->RmsNorm({residual.view(), &delta_view, w.data(), 1e-3f, out.view()});
  for (size_t t = 0; t < 2; ++t) {
    double squares = 0;
    for (size_t c = 0; c < 37; ++c) squares += std::pow(double{x[t * 37 + c]} + d[t * 37 + c], 2);
    for (size_t c = 0; c < 37; ++c) {
      const double sum = double{x[t * 37 + c]} + d[t * 37 + c];
      const auto row = static_cast<int64_t>(t);
      const auto col = static_cast<int64_t>(c);
      EXPECT_NEAR(residual.At(row, col), sum, 1e-6);
      EXPECT_NEAR(out.At(row, col), sum / std::sqrt(squares / 37 + 1e-3) * w[c], 1e-5);
    }
  }
}

TEST(ReferenceRmsNormTest, LeavesTheResidualAloneWithoutDelta) {
  auto backend = MakeReference();
  const std::vector<float> x = RandomValues(5, 10);
  const std::vector<float> ones(5, 1.0f);
  OwnedMatrix residual(1, 5, x);
  OwnedMatrix out(1, 5);
  backend->RmsNorm({residual.view(), nullptr, ones.data(), 1e-5f, out.view()});
  EXPECT_EQ(residual.Values(), x);
}

TEST(ReferenceSiluMulTest, MultipliesTheSiluOfTheGateByUp) {
  auto backend = MakeReference();
  OwnedMatrix gate_up(1, 6, {-100.0f, 0.0f, 2.0f, 5.0f, 3.0f, -1.5f});
  OwnedMatrix out(1, 3);
  backend->SiluMul({gate_up.view(), out.view()});
  EXPECT_NEAR(out.At(0, 0), 0.0f, 1e-30);
  EXPECT_EQ(out.At(0, 1), 0.0f);
  EXPECT_NEAR(out.At(0, 2), 2.0 / (1.0 + std::exp(-2.0)) * -1.5, 1e-6);
}

TEST(ReferenceGatherRowsTest, CopiesTheNamedRowsOfEitherDtype) {
  for (DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    auto backend = MakeReference(dtype);
    OwnedMatrix in(4, 3, dtype);
    for (int64_t r = 0; r < 4; ++r) {
      for (int64_t c = 0; c < 3; ++c) in.Set(r, c, static_cast<float>(10 * r + c));
    }
    OwnedMatrix out(3, 3, dtype);
    const int32_t rows[] = {3, 0, 3};
    backend->GatherRows({in.view(), rows, out.view()});
    EXPECT_EQ(out.Values(), (std::vector<float>{30, 31, 32, 0, 1, 2, 30, 31, 32}));
  }
}

TEST(BFloat16Test, RoundsToNearestEvenAndKeepsNanAndInfinity) {
  EXPECT_EQ(RoundToBFloat16(1.0f), 1.0f);
  EXPECT_EQ(RoundToBFloat16(1.00390625f), 1.0f);       // tie, down to even
  EXPECT_EQ(RoundToBFloat16(1.01171875f), 1.015625f);  // tie, up to even
  EXPECT_EQ(RoundToBFloat16(-1.004f), -1.0078125f);    // above the tie
  EXPECT_TRUE(std::isnan(RoundToBFloat16(std::bit_cast<float>(0x7F800001u))));
  EXPECT_TRUE(std::isinf(RoundToBFloat16(3.4e38f)));
}

TEST(ReferenceBackendTest, BuffersAreZeroedAndAligned) {
  auto backend = MakeReference();
  auto buffer = backend->Allocate(1000);
  ASSERT_TRUE(buffer.ok());
  EXPECT_EQ((*buffer)->size_bytes(), 1000u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>((*buffer)->data()) % 64, 0u);
  const auto* bytes = static_cast<const char*>((*buffer)->data());
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(bytes[i], 0);
}

TEST(ReferenceBackendTest, NumericsIdNamesTheActivationDtype) {
  EXPECT_EQ(MakeReference()->numerics_id(), "reference/f32");
  EXPECT_EQ(MakeReference(DType::kBFloat16)->numerics_id(), "reference/bf16");
}

}  // namespace
}  // namespace banyan::kernels::testing
