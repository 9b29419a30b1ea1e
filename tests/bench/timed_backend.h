// A backend that passes every op on to another one and adds up where the time goes. One thread, as
// every backend; ops must be complete when they return (CPU).
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "kernels/backend.h"
#include "tests/bench/machine_limits.h"

namespace banyan::bench {

enum class OpKind { kEmbed, kNorm, kLinear, kHead, kRope, kAttention, kSilu, kSample, kOther };
inline constexpr size_t kNumOpKinds = 9;
inline constexpr std::array<std::string_view, kNumOpKinds> kOpNames = {
    "embed", "norm", "linear", "head", "rope+kv", "attention", "silu", "sample", "other"};

class TimedBackend final : public kernels::Backend {
 public:
  // Linear layers with `vocabulary` outputs count as the head.
  TimedBackend(std::unique_ptr<kernels::Backend> inner, int64_t vocabulary)
      : inner_(std::move(inner)), vocabulary_(vocabulary) {}

  // Wall seconds by kind since the last call.
  std::array<double, kNumOpKinds> TakeSeconds() { return std::exchange(seconds_, {}); }

  std::string name() const override { return inner_->name(); }
  std::string numerics_id() const override { return inner_->numerics_id(); }
  kernels::DType activation_dtype() const override { return inner_->activation_dtype(); }
  absl::StatusOr<std::unique_ptr<kernels::Buffer>> Allocate(size_t size_bytes) override {
    return inner_->Allocate(size_bytes);
  }
  absl::Status Reserve(const kernels::BackendLimits& limits) override {
    return inner_->Reserve(limits);
  }
  absl::StatusOr<std::unique_ptr<kernels::PackedMatrix>> Pack(
      const kernels::MatrixSource& source) override {
    return inner_->Pack(source);
  }
  size_t PackedBytes(int64_t rows, int64_t cols) const override {
    return inner_->PackedBytes(rows, cols);
  }
  absl::StatusOr<std::unique_ptr<kernels::KvCache>> CreateKvCache(
      const kernels::KvCacheShape& shape) override {
    return inner_->CreateKvCache(shape);
  }
  size_t KvBytesPerBlock(const kernels::KvCacheShape& shape) const override {
    return inner_->KvBytesPerBlock(shape);
  }

  void Embed(const kernels::EmbedArgs& args) override {
    Time(OpKind::kEmbed, [&] { inner_->Embed(args); });
  }
  void RmsNorm(const kernels::RmsNormArgs& args) override {
    Time(OpKind::kNorm, [&] { inner_->RmsNorm(args); });
  }
  void Linear(const kernels::LinearArgs& args) override {
    const bool head = args.weight->rows() == vocabulary_;
    Time(head ? OpKind::kHead : OpKind::kLinear, [&] { inner_->Linear(args); });
  }
  void RopeKvWrite(const kernels::RopeKvWriteArgs& args) override {
    Time(OpKind::kRope, [&] { inner_->RopeKvWrite(args); });
  }
  void Attention(const kernels::AttentionArgs& args) override {
    Time(OpKind::kAttention, [&] { inner_->Attention(args); });
  }
  void SiluMul(const kernels::SiluMulArgs& args) override {
    Time(OpKind::kSilu, [&] { inner_->SiluMul(args); });
  }
  void GatherRows(const kernels::GatherRowsArgs& args) override {
    Time(OpKind::kOther, [&] { inner_->GatherRows(args); });
  }
  void CopyBlocks(const kernels::CopyBlocksArgs& args) override {
    Time(OpKind::kOther, [&] { inner_->CopyBlocks(args); });
  }
  void Sample(const kernels::SampleArgs& args) override {
    Time(OpKind::kSample, [&] { inner_->Sample(args); });
  }
  void Synchronize() override { inner_->Synchronize(); }

 private:
  template <typename Op>
  void Time(OpKind kind, Op op) {
    const double begin = WallSeconds();
    op();
    seconds_[static_cast<size_t>(kind)] += WallSeconds() - begin;
  }

  const std::unique_ptr<kernels::Backend> inner_;
  const int64_t vocabulary_;
  std::array<double, kNumOpKinds> seconds_{};
};

}  // namespace banyan::bench
