// The weights of a transformer in a backend's own layout, and how a checkpoint becomes them.
// Immutable after loading; dies before the backend.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/checkpoint/checkpoint.h"
#include "kernels/backend.h"

namespace banyan::worker {

// float32 values in the backend's memory; null where the model has none.
class DeviceVector {
 public:
  DeviceVector() = default;
  explicit DeviceVector(std::unique_ptr<kernels::Buffer> buffer) : buffer_(std::move(buffer)) {}
  const float* data() const {
    return buffer_ == nullptr ? nullptr : static_cast<const float*>(buffer_->data());
  }
  size_t size_bytes() const { return buffer_ == nullptr ? 0 : buffer_->size_bytes(); }

 private:
  std::unique_ptr<kernels::Buffer> buffer_;
};

struct LayerWeights {
  DeviceVector input_norm;                             // [hidden]
  std::unique_ptr<kernels::PackedMatrix> qkv;          // [(H + 2K) D, hidden]: q, k, v rows
  DeviceVector qkv_bias;                               // [(H + 2K) D] or null
  DeviceVector q_norm;                                 // [D] or null
  DeviceVector k_norm;                                 // [D] or null
  std::unique_ptr<kernels::PackedMatrix> attn_output;  // [hidden, H D]
  DeviceVector attn_output_bias;                       // [hidden] or null
  DeviceVector post_attention_norm;                    // [hidden]
  std::unique_ptr<kernels::PackedMatrix> gate_up;      // [2 I, hidden]: gate, then up rows
  DeviceVector gate_up_bias;                           // [2 I] or null
  std::unique_ptr<kernels::PackedMatrix> down;         // [hidden, I]
  DeviceVector down_bias;                              // [hidden] or null
};

struct ModelWeights {
  std::unique_ptr<kernels::PackedMatrix> embedding;  // [V, hidden]
  std::unique_ptr<kernels::PackedMatrix> lm_head;    // [V, hidden]; null: tied to the embedding
  DeviceVector final_norm;                           // [hidden]
  std::vector<LayerWeights> layers;                  // [L]

  const kernels::PackedMatrix& output() const { return lm_head ? *lm_head : *embedding; }
  // Resident bytes of everything.
  size_t SizeBytes() const;
};

// Bytes of the checkpoint's tensors that are packed, and of all that will be.
using LoadProgress = std::function<void(size_t bytes_done, size_t bytes_total)>;

// Packs tensor by tensor and releases each one's pages in the file behind it, so that the peak is
// the packed model plus one tensor. NOT_FOUND and INVALID_ARGUMENT name tensor, expected and found
// shape; UNIMPLEMENTED an encoding that cannot be read.
absl::StatusOr<ModelWeights> LoadWeights(const Checkpoint& checkpoint, kernels::Backend& backend,
                                         const LoadProgress& progress);

}  // namespace banyan::worker
