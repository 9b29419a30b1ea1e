#include "worker/model/weight_loader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace banyan::worker {
namespace {

// Reads rows [begin, end) of the tensors laid under each other.
void ReadFusedRows(std::span<const TensorView* const> tensors, int64_t begin, int64_t end,
                   float* out) {
  int64_t first_row = 0;
  for (const TensorView* tensor : tensors) {
    const int64_t from = std::max(begin, first_row);
    const int64_t to = std::min(end, first_row + tensor->rows());
    if (from < to) {
      const absl::Status status = DequantizeRows(*tensor, from - first_row, to - first_row, out);
      BANYAN_CHECK(status.ok()) << tensor->name << ": " << status.ToString();
      out += (to - from) * tensor->cols();
    }
    first_row += tensor->rows();
  }
}

}  // namespace

WeightLoader::WeightLoader(const Checkpoint& checkpoint, kernels::Backend& backend,
                           const LoadProgress& progress)
    : checkpoint_(checkpoint), backend_(backend), progress_(progress) {
  for (const TensorView& tensor : checkpoint.tensors()) bytes_total_ += tensor.data.size();
}

absl::StatusOr<const TensorView*> WeightLoader::Find(const std::string& name, int64_t rows,
                                                     int64_t cols) const {
  const TensorView* tensor = checkpoint_.FindTensor(name);
  if (tensor == nullptr) {
    return absl::NotFoundError(absl::StrFormat("tensor %s is not in the checkpoint", name));
  }
  if (tensor->shape.size() > 2 || tensor->rows() != rows || tensor->cols() != cols) {
    return absl::InvalidArgumentError(absl::StrFormat("tensor %s has shape [%s], expected [%d, %d]",
                                                      name, absl::StrJoin(tensor->shape, ", "),
                                                      rows, cols));
  }
  // Proves that the encoding can be read, so that packing cannot fail half way.
  std::vector<float> row(static_cast<size_t>(cols));
  BANYAN_RETURN_IF_ERROR(DequantizeRows(*tensor, 0, 1, row.data()));
  return tensor;
}

absl::StatusOr<std::unique_ptr<kernels::PackedMatrix>> WeightLoader::Matrix(
    std::span<const TensorPart> parts, int64_t cols) {
  std::vector<const TensorView*> tensors;
  kernels::MatrixSource source;
  source.name = parts.front().name;
  source.cols = cols;
  for (const TensorPart& part : parts) {
    BANYAN_ASSIGN_OR_RETURN(const TensorView* tensor,
                            Find(absl::StrFormat("%s.weight", part.name), part.rows, cols));
    tensors.push_back(tensor);
    source.rows += part.rows;
  }
  source.read_rows = [&tensors](int64_t begin, int64_t end, float* out) {
    ReadFusedRows(tensors, begin, end, out);
  };
  BANYAN_ASSIGN_OR_RETURN(std::unique_ptr<kernels::PackedMatrix> packed, backend_.Pack(source));
  for (const TensorView* tensor : tensors) Finish(*tensor);
  return packed;
}

absl::StatusOr<DeviceVector> WeightLoader::Bias(std::span<const TensorPart> parts) {
  std::vector<float> values;
  bool any = false;
  for (const TensorPart& part : parts) {
    const std::string name = absl::StrFormat("%s.bias", part.name);
    const size_t offset = values.size();
    values.resize(offset + static_cast<size_t>(part.rows));
    if (checkpoint_.FindTensor(name) == nullptr) continue;
    any = true;
    BANYAN_ASSIGN_OR_RETURN(const TensorView* tensor, Find(name, 1, part.rows));
    BANYAN_RETURN_IF_ERROR(DequantizeRows(*tensor, 0, 1, values.data() + offset));
    Finish(*tensor);
  }
  if (!any) return DeviceVector();
  return ToDevice(values);
}

absl::StatusOr<DeviceVector> WeightLoader::Norm(const std::string& name, int64_t size) {
  std::vector<float> values(static_cast<size_t>(size));
  BANYAN_ASSIGN_OR_RETURN(const TensorView* tensor,
                          Find(absl::StrFormat("%s.weight", name), 1, size));
  BANYAN_RETURN_IF_ERROR(DequantizeRows(*tensor, 0, 1, values.data()));
  Finish(*tensor);
  return ToDevice(values);
}

absl::StatusOr<DeviceVector> WeightLoader::OptionalNorm(const std::string& name, int64_t size) {
  if (checkpoint_.FindTensor(absl::StrFormat("%s.weight", name)) == nullptr) return DeviceVector();
  return Norm(name, size);
}

absl::StatusOr<DeviceVector> WeightLoader::ToDevice(const std::vector<float>& values) {
  const size_t size_bytes = values.size() * sizeof(float);
  BANYAN_ASSIGN_OR_RETURN(std::unique_ptr<kernels::Buffer> buffer, backend_.Allocate(size_bytes));
  backend_.Upload(buffer->data(), values.data(), size_bytes);
  backend_.Synchronize();
  return DeviceVector(std::move(buffer));
}

void WeightLoader::Done() {
  if (progress_) progress_(bytes_total_, bytes_total_);
}

void WeightLoader::Finish(const TensorView& tensor) {
  checkpoint_.Release(tensor);
  bytes_done_ += tensor.data.size();
  if (progress_) progress_(bytes_done_, bytes_total_);
}

}  // namespace banyan::worker
