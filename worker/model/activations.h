// Every intermediate value of a forward pass, as views into one buffer that is allocated once.
// Rows are valid for the step that wrote them.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/checkpoint/model_config.h"
#include "kernels/backend.h"
#include "worker/model/model_options.h"

namespace banyan::worker {

struct Activations {
  kernels::Matrix residual;  // float32 [T, hidden]
  kernels::Matrix normed;    // activation [T, hidden]
  kernels::Matrix qkv;       // float32 [T, (H + 2K) D]
  kernels::Matrix q;         // activation [T, H D]
  kernels::Matrix attended;  // activation [T, H D]
  kernels::Matrix delta;     // float32 [T, hidden], what the next norm adds to the residual
  kernels::Matrix gate_up;   // float32 [T, 2 I]
  kernels::Matrix gated;     // activation [T, I]
  kernels::Matrix selected;  // activation [R, hidden], rows of `normed` whose logits are wanted
  kernels::Matrix logits;    // float32 [R, V]

  std::unique_ptr<kernels::Buffer> buffer;  // holds all of them
};

// Bytes of the buffer for `options`, which are resolved.
size_t ActivationBytes(const ModelConfig& config, const ModelOptions& options,
                       kernels::DType activation);
absl::StatusOr<Activations> AllocateActivations(const ModelConfig& config,
                                                const ModelOptions& options,
                                                kernels::Backend& backend);

// The first `rows` rows of a matrix.
inline kernels::Matrix FirstRows(kernels::Matrix matrix, int64_t rows) {
  matrix.rows = rows;
  return matrix;
}

}  // namespace banyan::worker
