// Any bytes read as a safetensors file give tensors that fill its data exactly, or one bounded
// error. Input: a safetensors file.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/base/check.h"
#include "common/checkpoint/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace banyan;
  constexpr size_t kErrorBytesMax = 2048;
  std::vector<TensorView> tensors;
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  const absl::Status status = ReadSafetensors(bytes, "fuzz.safetensors", tensors);
  if (!status.ok()) {
    BANYAN_CHECK(!status.message().empty());
    BANYAN_CHECK_LE(status.message().size(), kErrorBytesMax);
    return 0;
  }
  size_t total = 0;
  for (const TensorView& tensor : tensors) {
    total += tensor.data.size();
    BANYAN_CHECK(tensor.data.data() >= bytes.data() &&
                 tensor.data.data() + tensor.data.size() <= bytes.data() + bytes.size());
    if (tensor.shape.size() != 2 || tensor.shape[0] > 64 || tensor.data.size() > 4096) continue;
    std::vector<float> values(static_cast<size_t>(tensor.rows() * tensor.cols()));
    DequantizeRows(tensor, 0, tensor.rows(), values.data()).IgnoreError();
  }
  BANYAN_CHECK_LE(total, size);
  return 0;
}
