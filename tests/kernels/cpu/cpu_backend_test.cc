#include <gmock/gmock.h>

#include <cstdlib>

#include "tests/kernels/cpu/cpu_fixture.h"

namespace banyan::kernels::testing {
namespace {

using ::testing::HasSubstr;

// Sets an environment variable for one scope.
class ScopedIsa {
 public:
  explicit ScopedIsa(const char* value) { setenv("BANYAN_CPU_ISA", value, 1); }
  ~ScopedIsa() { unsetenv("BANYAN_CPU_ISA"); }
};

TEST(CpuBackendTest, EnvironmentForcesTheInstructionSet) {
  const ScopedIsa isa("scalar");
  const auto backend = CreateCpuBackend({.threads = 1});
  ASSERT_TRUE(backend.ok());
  EXPECT_EQ((*backend)->numerics_id(), "cpu/scalar/bf16/1");
  EXPECT_EQ((*backend)->name(), "cpu");
}

TEST(CpuBackendTest, UnknownInstructionSetIsRefusedByName) {
  const ScopedIsa isa("sse9");
  const auto backend = CreateCpuBackend({});
  EXPECT_EQ(backend.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(backend.status().message()), HasSubstr("sse9"));
}

TEST(CpuBackendTest, OptionsOverrideTheEnvironment) {
  const ScopedIsa isa("sse9");
  const auto backend =
      CreateCpuBackend({.threads = 1, .isa = cpu::Isa::kScalar, .activation = DType::kFloat32});
  ASSERT_TRUE(backend.ok());
  EXPECT_EQ((*backend)->numerics_id(), "cpu/scalar/f32/1");
}

TEST(CpuBackendTest, ThreadCountsOutOfRangeAreRefused) {
  EXPECT_EQ(CreateCpuBackend({.threads = -1}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CreateCpuBackend({.threads = 100000}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(CpuBackendTest, BuffersAreZeroedAndAligned) {
  const auto backend = MakeCpu({cpu::Isa::kScalar, DType::kFloat32}, 1);
  for (size_t size : {size_t{1}, size_t{4097}, size_t{5} << 20}) {
    const auto buffer = backend->Allocate(size);
    ASSERT_TRUE(buffer.ok());
    EXPECT_EQ((*buffer)->size_bytes(), size);
    const char* bytes = static_cast<const char*>((*buffer)->data());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes) % 64, 0u);
    EXPECT_TRUE(std::all_of(bytes, bytes + size, [](char byte) { return byte == 0; }));
  }
}

TEST(CpuBackendTest, MissingMemoryIsResourceExhaustedWithItsSize) {
  const auto backend = MakeCpu({cpu::Isa::kScalar, DType::kFloat32}, 1);
  const size_t size = size_t{1} << 46;
  const absl::Status status = backend->Allocate(size).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr(std::to_string(size)));
  MatrixSource source{.name = "huge.weight", .rows = 1 << 24, .cols = 1 << 24, .read_rows = {}};
  const absl::Status packed = backend->Pack(source).status();
  EXPECT_EQ(packed.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(packed.message()), HasSubstr("huge.weight"));
}

TEST(CpuBackendTest, KvShapesOutsideTheLayoutAreRefused) {
  const auto backend = MakeCpu({cpu::Isa::kScalar, DType::kFloat32}, 1);
  const KvCacheShape good{
      .num_layers = 1, .num_blocks = 1, .block_size = 16, .num_kv_heads = 1, .head_size = 64};
  EXPECT_TRUE(backend->CreateKvCache(good).ok());
  KvCacheShape block = good;
  block.block_size = 12;
  EXPECT_THAT(std::string(backend->CreateKvCache(block).status().message()), HasSubstr("12"));
  KvCacheShape head = good;
  head.head_size = 65;
  EXPECT_THAT(std::string(backend->CreateKvCache(head).status().message()), HasSubstr("65"));
}

TEST(CpuBackendTest, PlannedSizesAreTheSizesTaken) {
  for (const DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    const auto backend = MakeCpu({cpu::Isa::kScalar, dtype}, 1);
    const auto packed = PackValues(*backend, 70, 33, RandomValues(70 * 33, 1));
    EXPECT_EQ(packed->size_bytes(), backend->PackedBytes(70, 33));
    const KvCacheShape shape{
        .num_layers = 3, .num_blocks = 5, .block_size = 32, .num_kv_heads = 2, .head_size = 80};
    const auto cache = backend->CreateKvCache(shape);
    ASSERT_TRUE(cache.ok());
    EXPECT_EQ((*cache)->size_bytes(), 5 * backend->KvBytesPerBlock(shape));
  }
}

}  // namespace
}  // namespace banyan::kernels::testing
