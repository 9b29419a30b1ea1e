#include "kernels/reference/reference_backend.h"

#include <cstring>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "kernels/reference/ops.h"
#include "kernels/reference/storage.h"

namespace banyan::kernels {
namespace reference {

Scratch::Scratch(const BackendLimits& limits)
    : slots(static_cast<size_t>(limits.max_context_tokens)),
      query(static_cast<size_t>(limits.max_head_size)),
      scores(static_cast<size_t>(kAttentionChunkTokens)),
      chunk_output(static_cast<size_t>(limits.max_head_size)),
      output(static_cast<size_t>(limits.max_head_size)),
      logits(static_cast<size_t>(limits.max_vocabulary)),
      ranking(static_cast<size_t>(limits.max_vocabulary)) {}

namespace {

class HostBuffer final : public Buffer {
 public:
  explicit HostBuffer(size_t size_bytes) : size_bytes_(size_bytes) {
    const size_t rounded = (size_bytes + kAlignment - 1) / kAlignment * kAlignment;
    data_ = ::operator new(rounded == 0 ? kAlignment : rounded, std::align_val_t{kAlignment},
                           std::nothrow);
    if (data_ != nullptr) std::memset(data_, 0, rounded);
  }
  HostBuffer(const HostBuffer&) = delete;
  HostBuffer& operator=(const HostBuffer&) = delete;
  ~HostBuffer() override { ::operator delete(data_, std::align_val_t{kAlignment}); }

  void* data() const override { return data_; }
  size_t size_bytes() const override { return size_bytes_; }

 private:
  static constexpr size_t kAlignment = 64;
  size_t size_bytes_;
  void* data_;
};

// Runs `make`; memory that is not there becomes a status that names `what`.
template <typename Make>
auto OrResourceExhausted(const char* what, size_t size_bytes, Make&& make)
    -> absl::StatusOr<decltype(make())> {
  try {
    return make();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("%s: no memory for %u bytes", what, size_bytes));
  }
}

class ReferenceBackend final : public Backend {
 public:
  explicit ReferenceBackend(DType activation) : activation_(activation) {}

  std::string name() const override { return "reference"; }
  std::string numerics_id() const override {
    return activation_ == DType::kBFloat16 ? "reference/bf16" : "reference/f32";
  }
  DType activation_dtype() const override { return activation_; }

  absl::StatusOr<std::unique_ptr<Buffer>> Allocate(size_t size_bytes) override {
    auto buffer = std::make_unique<HostBuffer>(size_bytes);
    if (buffer->data() == nullptr) {
      return absl::ResourceExhaustedError(
          absl::StrFormat("buffer: no memory for %u bytes", size_bytes));
    }
    return buffer;
  }
  absl::Status Reserve(const BackendLimits& limits) override {
    scratch_.emplace(limits);
    return absl::OkStatus();
  }
  absl::StatusOr<std::unique_ptr<PackedMatrix>> Pack(const MatrixSource& source) override {
    return OrResourceExhausted(source.name.c_str(), PackedBytes(source.rows, source.cols),
                               [&]() -> std::unique_ptr<PackedMatrix> {
                                 return std::make_unique<ReferenceMatrix>(source, activation_);
                               });
  }
  size_t PackedBytes(int64_t rows, int64_t cols) const override {
    return ReferenceMatrix::SizeBytes(rows, cols);
  }
  absl::StatusOr<std::unique_ptr<KvCache>> CreateKvCache(const KvCacheShape& shape) override {
    return OrResourceExhausted("KV cache", ReferenceKvCache::SizeBytes(shape),
                               [&]() -> std::unique_ptr<KvCache> {
                                 return std::make_unique<ReferenceKvCache>(shape, activation_);
                               });
  }
  size_t KvBytesPerBlock(const KvCacheShape& shape) const override {
    return ReferenceKvCache::BytesPerBlock(shape);
  }

  void Embed(const EmbedArgs& args) override { reference::Embed(args); }
  void RmsNorm(const RmsNormArgs& args) override { reference::RmsNorm(args); }
  void Linear(const LinearArgs& args) override { reference::Linear(args); }
  void RopeKvWrite(const RopeKvWriteArgs& args) override { reference::RopeKvWrite(args); }
  void Attention(const AttentionArgs& args) override { reference::Attention(args, scratch()); }
  void SiluMul(const SiluMulArgs& args) override { reference::SiluMul(args); }
  void GatherRows(const GatherRowsArgs& args) override { reference::GatherRows(args); }
  void CopyBlocks(const CopyBlocksArgs& args) override { reference::CopyBlocks(args); }
  void Sample(const SampleArgs& args) override { reference::Sample(args, scratch()); }

  void Synchronize() override {}

 private:
  Scratch& scratch() {
    BANYAN_CHECK(scratch_.has_value()) << "Reserve() comes before the first op";
    return *scratch_;
  }

  DType activation_;
  std::optional<Scratch> scratch_;
};

}  // namespace
}  // namespace reference

std::unique_ptr<Backend> CreateReferenceBackend(DType activation) {
  return std::make_unique<reference::ReferenceBackend>(activation);
}

}  // namespace banyan::kernels
