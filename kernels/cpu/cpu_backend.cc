#include "kernels/cpu/cpu_backend.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "kernels/cpu/attention_plan.h"
#include "kernels/cpu/cpu_matrix.h"
#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/memory_region.h"
#include "kernels/cpu/row_sampler.h"
#include "kernels/cpu/thread_pool.h"

namespace banyan::kernels {
namespace cpu {
namespace {

// Panels of one grain of stealing.
constexpr size_t kGrainBytes = size_t{1} << 20;
// An op on fewer elements than this runs on the caller: waking the others costs more.
constexpr int64_t kParallelElementsMin = 32768;
constexpr int kHeadSizeMax = 256;

class RegionBuffer final : public Buffer {
 public:
  explicit RegionBuffer(MemoryRegion memory) : memory_(std::move(memory)) {}
  void* data() const override { return memory_.data(); }
  size_t size_bytes() const override { return memory_.size_bytes(); }

 private:
  MemoryRegion memory_;
};

class CpuKvCache final : public KvCache {
 public:
  CpuKvCache(const KvCacheShape& shape, const KvLayout& layout, MemoryRegion memory)
      : shape_(shape), layout_(layout), memory_(std::move(memory)) {
    layout_.data = memory_.data();
  }
  const KvCacheShape& shape() const override { return shape_; }
  size_t size_bytes() const override { return memory_.size_bytes(); }
  const KvLayout& layout() const { return layout_; }

 private:
  KvCacheShape shape_;
  KvLayout layout_;
  MemoryRegion memory_;
};

const KvLayout& LayoutOf(const KvCache& cache) {
  return static_cast<const CpuKvCache&>(cache).layout();
}

KvLayout MakeLayout(DType dtype, const KvCacheShape& shape) {
  return KvLayout::Make(dtype, shape.block_size, shape.num_kv_heads, shape.head_size,
                        shape.num_blocks);
}

absl::Status CheckKvShape(const KvCacheShape& shape) {
  if (shape.block_size <= 0 || shape.block_size % kTileTokens != 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "KV block size %d: the CPU backend needs a multiple of %d", shape.block_size, kTileTokens));
  }
  if (shape.head_size <= 0 || shape.head_size % 2 != 0 || shape.head_size > kHeadSizeMax) {
    return absl::InvalidArgumentError(
        absl::StrFormat("head size %d: the CPU backend needs an even number up to %d",
                        shape.head_size, kHeadSizeMax));
  }
  if (shape.num_layers <= 0 || shape.num_kv_heads <= 0 || shape.num_blocks < 0) {
    return absl::InvalidArgumentError(absl::StrFormat("KV cache of %d layers, %d heads, %d blocks",
                                                      shape.num_layers, shape.num_kv_heads,
                                                      shape.num_blocks));
  }
  return absl::OkStatus();
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(int threads, Isa isa, DType activation)
      : isa_(isa), activation_(activation), kernels_(KernelsFor(isa, activation)), pool_(threads) {}

  std::string name() const override { return "cpu"; }
  std::string numerics_id() const override {
    return absl::StrFormat("cpu/%s/%s/1", IsaName(isa_),
                           activation_ == DType::kBFloat16 ? "bf16" : "f32");
  }
  DType activation_dtype() const override { return activation_; }

  absl::StatusOr<std::unique_ptr<Buffer>> Allocate(size_t size_bytes) override {
    BANYAN_ASSIGN_OR_RETURN(MemoryRegion memory, MemoryRegion::Map(size_bytes, "buffer"));
    return std::make_unique<RegionBuffer>(std::move(memory));
  }
  absl::Status Reserve(const BackendLimits& limits) override;
  absl::StatusOr<std::unique_ptr<PackedMatrix>> Pack(const MatrixSource& source) override {
    return CpuMatrix::Pack(source, activation_, weights_, pool_);
  }
  size_t PackedBytes(int64_t rows, int64_t cols) const override {
    return CpuMatrix::PackedBytes(rows, cols, activation_,
                                  CpuMatrix::WidthFor(rows, pool_.num_threads()));
  }
  absl::StatusOr<std::unique_ptr<KvCache>> CreateKvCache(const KvCacheShape& shape) override;
  size_t KvBytesPerBlock(const KvCacheShape& shape) const override {
    return MakeLayout(activation_, shape).block_bytes * static_cast<size_t>(shape.num_layers);
  }

  void Embed(const EmbedArgs& args) override;
  void RmsNorm(const RmsNormArgs& args) override;
  void Linear(const LinearArgs& args) override;
  void RopeKvWrite(const RopeKvWriteArgs& args) override;
  void Attention(const AttentionArgs& args) override;
  void SiluMul(const SiluMulArgs& args) override;
  void GatherRows(const GatherRowsArgs& args) override;
  void CopyBlocks(const CopyBlocksArgs& args) override;
  void Sample(const SampleArgs& args) override;

  void Synchronize() override {}

 private:
  // Spreads rows of `row_elements` elements each.
  void ForRows(int64_t rows, int64_t row_elements,
               absl::FunctionRef<void(int64_t begin, int64_t end)> work);

  const Isa isa_;
  const DType activation_;
  const KernelTable& kernels_;
  ThreadPool pool_;
  MemoryArena weights_;
  AttentionPlan attention_;
  std::vector<RowSampler> samplers_;  // one a thread
};

absl::Status CpuBackend::Reserve(const BackendLimits& limits) {
  if (limits.max_head_size > kHeadSizeMax) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "head size %d: the CPU backend takes at most %d", limits.max_head_size, kHeadSizeMax));
  }
  samplers_.clear();
  for (int i = 0; i < pool_.num_threads(); ++i) {
    samplers_.emplace_back(kernels_, limits.max_vocabulary);
  }
  return attention_.Reserve(limits, pool_.num_threads());
}

absl::StatusOr<std::unique_ptr<KvCache>> CpuBackend::CreateKvCache(const KvCacheShape& shape) {
  BANYAN_RETURN_IF_ERROR(CheckKvShape(shape));
  const KvLayout layout = MakeLayout(activation_, shape);
  BANYAN_ASSIGN_OR_RETURN(
      MemoryRegion memory,
      MemoryRegion::Map(layout.layer_bytes * static_cast<size_t>(shape.num_layers),
                        absl::StrFormat("KV cache of %d blocks", shape.num_blocks)));
  return std::make_unique<CpuKvCache>(shape, layout, std::move(memory));
}

void CpuBackend::ForRows(int64_t rows, int64_t row_elements,
                         absl::FunctionRef<void(int64_t begin, int64_t end)> work) {
  if (rows * row_elements < kParallelElementsMin) {
    if (rows > 0) work(0, rows);
    return;
  }
  const int64_t pieces = int64_t{4} * pool_.num_threads();
  pool_.ParallelFor(rows, std::max<int64_t>(1, rows / pieces),
                    [&](int, int64_t begin, int64_t end) { work(begin, end); });
}

void CpuBackend::Embed(const EmbedArgs& args) {
  const auto& table = static_cast<const CpuMatrix&>(*args.table);
  BANYAN_CHECK_EQ(args.out.cols, table.cols());
  // A packed row is scattered: one cache line for each step.
  ForRows(args.out.rows, args.out.cols * 4, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const TokenId token = args.token_ids[t];
      BANYAN_CHECK(token >= 0 && token < table.rows()) << "token id " << token;
      table.ReadRow(token, args.out.Row<float>(t));
    }
  });
}

void CpuBackend::RmsNorm(const RmsNormArgs& args) {
  ForRows(args.residual.rows, args.residual.cols,
          [&](int64_t begin, int64_t end) { kernels_.rms_norm(args, begin, end); });
}

void CpuBackend::Linear(const LinearArgs& args) {
  const auto& weight = static_cast<const CpuMatrix&>(*args.weight);
  BANYAN_CHECK_EQ(args.x.cols, weight.cols());
  BANYAN_CHECK_EQ(args.y.cols, weight.rows());
  if (args.x.rows == 0) return;
  const int width = weight.width();
  const auto grain = static_cast<int64_t>(std::max<size_t>(1, kGrainBytes / weight.panel_bytes()));
  const int64_t even = weight.num_panels() / (2 * int64_t{pool_.num_threads()});
  pool_.ParallelFor(
      weight.num_panels(), std::clamp<int64_t>(even, 1, grain),
      [&](int, int64_t begin, int64_t end) {
        LinearPanelTask task{
            .x = args.x.data, .x_pitch = args.x.pitch, .rows = args.x.rows, .cols = args.x.cols};
        task.width = width;
        task.y_pitch = args.y.pitch;
        for (int64_t panel = begin; panel < end; ++panel) {
          const int64_t first = panel * width;
          task.panel = weight.Panel(panel);
          task.outputs = static_cast<int>(std::min<int64_t>(width, weight.rows() - first));
          task.bias = args.bias == nullptr ? nullptr : args.bias + first;
          task.y = args.y.Row<float>(0) + first;
          kernels_.linear_panel(task);
        }
      });
}

void CpuBackend::RopeKvWrite(const RopeKvWriteArgs& args) {
  const KvLayout& layout = LayoutOf(*args.cache);
  BANYAN_CHECK_EQ(args.qkv.cols, (args.num_heads + 2 * layout.num_kv_heads) * layout.head_size);
  ForRows(args.batch->num_tokens, args.qkv.cols * 4,
          [&](int64_t begin, int64_t end) { kernels_.rope_kv_write(args, layout, begin, end); });
}

void CpuBackend::Attention(const AttentionArgs& args) {
  BANYAN_CHECK(!samplers_.empty()) << "Reserve() comes before the first op";
  attention_.Run(args, LayoutOf(*args.cache), kernels_, pool_);
}

void CpuBackend::SiluMul(const SiluMulArgs& args) {
  ForRows(args.out.rows, args.out.cols * 2,
          [&](int64_t begin, int64_t end) { kernels_.silu_mul(args, begin, end); });
}

void CpuBackend::GatherRows(const GatherRowsArgs& args) {
  const size_t row_bytes = static_cast<size_t>(args.out.cols) * SizeOf(args.out.dtype);
  const auto row = [](const Matrix& matrix, int64_t r) {
    return static_cast<char*>(matrix.data) +
           r * matrix.pitch * static_cast<int64_t>(SizeOf(matrix.dtype));
  };
  ForRows(args.out.rows, args.out.cols, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      BANYAN_CHECK(args.rows[r] >= 0 && args.rows[r] < args.in.rows) << "row " << args.rows[r];
      std::memcpy(row(args.out, r), row(args.in, args.rows[r]), row_bytes);
    }
  });
}

void CpuBackend::CopyBlocks(const CopyBlocksArgs& args) {
  const KvLayout& layout = LayoutOf(*args.cache);
  const int64_t layers = args.cache->shape().num_layers;
  // Copies may chain, so their order is kept within a layer; layers are independent.
  pool_.ParallelFor(args.num_blocks == 0 ? 0 : layers, 1, [&](int, int64_t begin, int64_t end) {
    for (int64_t layer = begin; layer < end; ++layer) {
      char* base = layout.data + static_cast<size_t>(layer) * layout.layer_bytes;
      for (int i = 0; i < args.num_blocks; ++i) {
        std::memmove(base + static_cast<size_t>(args.to[i]) * layout.block_bytes,
                     base + static_cast<size_t>(args.from[i]) * layout.block_bytes,
                     layout.block_bytes);
      }
    }
  });
}

void CpuBackend::Sample(const SampleArgs& args) {
  BANYAN_CHECK(!samplers_.empty()) << "Reserve() comes before the first op";
  pool_.ParallelFor(args.logits.rows, 1, [&](int thread, int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      args.out[r] = samplers_[static_cast<size_t>(thread)].Sample(
          args.rows[r], args.logits.Row<float>(r), args.logits.cols);
    }
  });
}

absl::StatusOr<Isa> ChooseIsa(const CpuBackendOptions& options) {
  std::optional<Isa> isa = options.isa;
  const char* forced = std::getenv("BANYAN_CPU_ISA");
  if (!isa.has_value() && forced != nullptr && *forced != '\0') {
    isa = ParseIsa(forced);
    if (!isa.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("BANYAN_CPU_ISA is \"%s\"; known are scalar, avx2, avx512", forced));
    }
  }
  if (!isa.has_value()) return BestIsa();
  if (!IsaSupported(*isa)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("instruction set %s is not supported by this machine; the best one is %s",
                        IsaName(*isa), IsaName(BestIsa())));
  }
  return *isa;
}

}  // namespace
}  // namespace cpu

absl::StatusOr<std::unique_ptr<Backend>> CreateCpuBackend(const CpuBackendOptions& options) {
  if (options.threads < 0 || options.threads > kCpuThreadsMax) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%d threads: give 1 to %d, or 0 for one a usable core", options.threads, kCpuThreadsMax));
  }
  BANYAN_ASSIGN_OR_RETURN(const cpu::Isa isa, cpu::ChooseIsa(options));
  const int threads =
      options.threads == 0 ? std::min(cpu::UsableCores(), kCpuThreadsMax) : options.threads;
  return std::make_unique<cpu::CpuBackend>(threads, isa, options.activation);
}

}  // namespace banyan::kernels
