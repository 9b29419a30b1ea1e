// Reads one checkpoint's tensors into one backend, fused where ops want one matrix.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/model/model_weights.h"

namespace banyan::worker {

// One tensor of a fused matrix or vector and the outputs it must have.
struct TensorPart {
  std::string name;  // without ".weight" or ".bias"
  int64_t rows = 0;
};

// Used by one thread while loading; everything it returns belongs to the caller.
class WeightLoader {
 public:
  // All must outlive the loader.
  WeightLoader(const Checkpoint& checkpoint, kernels::Backend& backend,
               const LoadProgress& progress);

  // The parts' weights [rows, cols] under each other, packed as one matrix.
  absl::StatusOr<std::unique_ptr<kernels::PackedMatrix>> Matrix(std::span<const TensorPart> parts,
                                                                int64_t cols);
  // The parts' biases after each other; zeros where only some have one, null where none has.
  absl::StatusOr<DeviceVector> Bias(std::span<const TensorPart> parts);
  // The weight of a norm, [size].
  absl::StatusOr<DeviceVector> Norm(const std::string& name, int64_t size);
  // The same, null when the checkpoint has none.
  absl::StatusOr<DeviceVector> OptionalNorm(const std::string& name, int64_t size);

  // Reports the end: tensors that the model does not use count as done.
  void Done();

 private:
  absl::StatusOr<const TensorView*> Find(const std::string& name, int64_t rows, int64_t cols) const;
  absl::StatusOr<DeviceVector> ToDevice(const std::vector<float>& values);
  // Counts the tensor as done.
  void Finish(const TensorView& tensor);

  const Checkpoint& checkpoint_;
  kernels::Backend& backend_;
  const LoadProgress& progress_;
  size_t bytes_done_ = 0;
  size_t bytes_total_ = 0;
};

}  // namespace banyan::worker
