// One device's ops and memory. Three implementations with the same file stems: reference/ (the
// specification: plain loops), cpu/, cuda/.
//
// A backend is used by one thread at a time (the engine's); it may run its own threads inside an
// op. Ops are complete when they return on CPU backends and ordered on one stream on CUDA;
// Synchronize() waits.
#pragma once

#include <cstring>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/ops.h"

namespace banyan::kernels {

// Memory of the device, aligned for every op, zeroed. Freed with the object, which dies before its
// backend.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual void* data() const = 0;
  virtual size_t size_bytes() const = 0;
};

// Largest shapes a backend will meet: it sizes its scratch with them, so that ops need not
// allocate.
struct BackendLimits {
  int max_step_tokens = 2048;     // T
  int max_sequences = 256;        // S
  int max_context_tokens = 8192;  // positions of one sequence
  int max_heads = 64;             // H
  int max_head_size = 256;        // D
  int64_t max_linear_cols = 65536;
  int64_t max_vocabulary = 262144;
};

class Backend {
 public:
  virtual ~Backend() = default;

  // "reference", "cpu", "cuda".
  virtual std::string name() const = 0;
  // Everything that changes bits: backend, instruction set path, weight and activation dtype.
  // Equal strings promise equal bits.
  virtual std::string numerics_id() const = 0;
  // dtype of activations between ops and of the KV cache.
  virtual DType activation_dtype() const = 0;

  // RESOURCE_EXHAUSTED with the size when the memory is not there.
  virtual absl::StatusOr<std::unique_ptr<Buffer>> Allocate(size_t size_bytes) = 0;
  // Scratch for ops within `limits`. Call once, before the first op.
  virtual absl::Status Reserve(const BackendLimits& limits) = 0;
  // Repacks a weight; runs on all of the backend's threads.
  virtual absl::StatusOr<std::unique_ptr<PackedMatrix>> Pack(const MatrixSource& source) = 0;
  // Bytes that Pack would keep resident for a weight [rows, cols]; for planning memory.
  virtual size_t PackedBytes(int64_t rows, int64_t cols) const {
    return static_cast<size_t>(rows) * static_cast<size_t>(cols) * SizeOf(activation_dtype());
  }
  virtual absl::StatusOr<std::unique_ptr<KvCache>> CreateKvCache(const KvCacheShape& shape) = 0;
  // Bytes that CreateKvCache would take for one block of all layers.
  virtual size_t KvBytesPerBlock(const KvCacheShape& shape) const = 0;

  // Copies between the host's memory and the backend's, in order with ops. Download returns when
  // the bytes are there; Upload may return before `from` has been read on devices, so keep it until
  // Synchronize(). The defaults serve backends whose memory is the host's.
  virtual void Upload(void* to, const void* from, size_t size_bytes) {
    std::memcpy(to, from, size_bytes);
  }
  virtual void Download(void* to, const void* from, size_t size_bytes) {
    std::memcpy(to, from, size_bytes);
  }

  virtual void Embed(const EmbedArgs& args) = 0;
  virtual void RmsNorm(const RmsNormArgs& args) = 0;
  virtual void Linear(const LinearArgs& args) = 0;
  virtual void RopeKvWrite(const RopeKvWriteArgs& args) = 0;
  virtual void Attention(const AttentionArgs& args) = 0;
  virtual void SiluMul(const SiluMulArgs& args) = 0;
  virtual void GatherRows(const GatherRowsArgs& args) = 0;
  virtual void CopyBlocks(const CopyBlocksArgs& args) = 0;
  virtual void Sample(const SampleArgs& args) = 0;

  virtual void Synchronize() = 0;
};

}  // namespace banyan::kernels
