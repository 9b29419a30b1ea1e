// One reader over what is on disk: a GGUF file and a Hugging Face directory are two spellings of a
// configuration, named tensors and text assets. Nothing above this folder knows which spelling it
// was.
//
// Tensor names are Hugging Face's ("model.layers.0.self_attn.q_proj.weight"), shapes outermost
// first. Every offset, shape product and count is checked when the file is opened; a bad file is
// refused with file, tensor, expected and found (INVALID_ARGUMENT; NOT_FOUND where nothing is
// there). Immutable and thread-safe after Open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/checkpoint/model_config.h"
#include "common/checkpoint/text_assets.h"

namespace banyan {

// How a tensor's values are stored: safetensors dtypes and GGML types.
enum class TensorEncoding : uint8_t {
  kF32,
  kF16,
  kBF16,
  kI8,
  kI32,
  kI64,
  kF8E4M3,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kIQ4_XS,
};
std::string_view TensorEncodingName(TensorEncoding encoding);

// llama.cpp's converter interleaves the rotation pairs of q and k rows. DequantizeRows() undoes it,
// so that rows always come in half-split order.
enum class RowOrder : uint8_t { kAsStored, kInterleavedPairs };

struct TensorView {
  std::string name = {};
  TensorEncoding encoding = TensorEncoding::kF32;
  std::vector<int64_t> shape = {};       // outermost first
  std::span<const std::byte> data = {};  // in the mapped file
  RowOrder row_order = RowOrder::kAsStored;
  int64_t rows_per_head = 0;  // with kInterleavedPairs

  int64_t rows() const { return shape.size() < 2 ? 1 : shape[0]; }
  int64_t cols() const { return shape.empty() ? 0 : shape.back(); }
};

// The float32 values of rows [row_begin, row_end) of a tensor of one or two dimensions, exactly as
// the format defines them, to out[(row_end - row_begin) * cols]. UNIMPLEMENTED for encodings that
// are not values.
absl::Status DequantizeRows(const TensorView& tensor, int64_t row_begin, int64_t row_end,
                            float* out);

class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  // `path` is a .gguf file or a directory with config.json.
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(const std::filesystem::path& path);

  virtual const ModelConfig& config() const = 0;
  virtual const GenerationDefaults& generation_defaults() const = 0;
  virtual const TextAssets& text_assets() const = 0;
  // Sorted by name.
  virtual std::span<const TensorView> tensors() const = 0;
  // Null when there is none of that name.
  virtual const TensorView* FindTensor(std::string_view name) const = 0;
  // Dominant encoding of the layer matrices, for display: "q4_1", "bf16", ...
  virtual std::string weight_format() const = 0;
  virtual size_t size_bytes() const = 0;
  // Tells the kernel that this tensor's pages will not be read again soon.
  virtual void Release(const TensorView& tensor) const = 0;
};

}  // namespace banyan
