#include "worker/model/activations.h"

#include <cstddef>
#include <utility>

#include "common/base/status_macros.h"

namespace banyan::worker {
namespace {

using kernels::DType;
using kernels::Matrix;

constexpr size_t kAlignmentBytes = 64;
constexpr size_t kPageBytes = 4096;

// Bytes from row to row: a multiple of a cache line but not of a page, for rows a page apart would
// share cache sets.
size_t PitchBytes(int64_t cols, DType dtype) {
  const size_t bytes = static_cast<size_t>(cols) * kernels::SizeOf(dtype);
  const size_t aligned = (bytes + kAlignmentBytes - 1) / kAlignmentBytes * kAlignmentBytes;
  return aligned % kPageBytes == 0 ? aligned + kAlignmentBytes : aligned;
}

// Places matrices after each other. Run once to measure, once with a base to place.
class Layout {
 public:
  explicit Layout(std::byte* base) : base_(base) {}

  Matrix Place(int64_t rows, int64_t cols, DType dtype) {
    const size_t pitch_bytes = PitchBytes(cols, dtype);
    Matrix matrix{.data = base_ == nullptr ? nullptr : base_ + size_bytes_,
                  .dtype = dtype,
                  .rows = rows,
                  .cols = cols,
                  .pitch = static_cast<int64_t>(pitch_bytes / kernels::SizeOf(dtype))};
    size_bytes_ += static_cast<size_t>(rows) * pitch_bytes;
    return matrix;
  }
  size_t size_bytes() const { return size_bytes_; }

 private:
  std::byte* base_;
  size_t size_bytes_ = 0;
};

Activations PlaceAll(const ModelConfig& config, const ModelOptions& options, DType activation,
                     Layout& layout) {
  const int64_t tokens = options.max_step_tokens;
  const int64_t q_cols = config.num_heads * config.head_size;
  const int64_t kv_cols = config.num_kv_heads * config.head_size;
  Activations a;
  a.residual = layout.Place(tokens, config.hidden_size, DType::kFloat32);
  a.normed = layout.Place(tokens, config.hidden_size, activation);
  a.qkv = layout.Place(tokens, q_cols + 2 * kv_cols, DType::kFloat32);
  a.q = layout.Place(tokens, q_cols, activation);
  a.attended = layout.Place(tokens, q_cols, activation);
  a.delta = layout.Place(tokens, config.hidden_size, DType::kFloat32);
  a.gate_up = layout.Place(tokens, 2 * config.intermediate_size, DType::kFloat32);
  a.gated = layout.Place(tokens, config.intermediate_size, activation);
  a.selected = layout.Place(options.max_logit_rows, config.hidden_size, activation);
  a.logits = layout.Place(options.max_logit_rows, config.vocabulary_size, DType::kFloat32);
  return a;
}

}  // namespace

size_t ActivationBytes(const ModelConfig& config, const ModelOptions& options, DType activation) {
  Layout layout(nullptr);
  PlaceAll(config, options, activation, layout);
  return layout.size_bytes();
}

absl::StatusOr<Activations> AllocateActivations(const ModelConfig& config,
                                                const ModelOptions& options,
                                                kernels::Backend& backend) {
  const DType activation = backend.activation_dtype();
  BANYAN_ASSIGN_OR_RETURN(std::unique_ptr<kernels::Buffer> buffer,
                          backend.Allocate(ActivationBytes(config, options, activation)));
  Layout layout(static_cast<std::byte*>(buffer->data()));
  Activations activations = PlaceAll(config, options, activation, layout);
  activations.buffer = std::move(buffer);
  return activations;
}

}  // namespace banyan::worker
