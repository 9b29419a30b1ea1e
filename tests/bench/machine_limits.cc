#include "tests/bench/machine_limits.h"

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <ctime>

#include "kernels/cpu/cpu_isa.h"
#include "kernels/cpu/target.h"

namespace banyan::bench {
namespace {

double Seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Enough independent chains to hide the latency of the units.
constexpr int kChains = 16;

std::atomic<uint64_t> sink{0};

}  // namespace
}  // namespace banyan::bench

BANYAN_TARGET_BEGIN_AVX512
namespace banyan::bench {
namespace {

uint64_t ReadAvx512(const char* data, size_t bytes) {
  __m512i a = _mm512_setzero_si512();
  __m512i b = a;
  __m512i c = a;
  __m512i d = a;
  for (size_t i = 0; i + 256 <= bytes; i += 256) {
    a = _mm512_xor_si512(a, _mm512_loadu_si512(data + i));
    b = _mm512_xor_si512(b, _mm512_loadu_si512(data + i + 64));
    c = _mm512_xor_si512(c, _mm512_loadu_si512(data + i + 128));
    d = _mm512_xor_si512(d, _mm512_loadu_si512(data + i + 192));
  }
  uint64_t lanes[8];
  _mm512_storeu_si512(lanes, _mm512_xor_si512(_mm512_xor_si512(a, b), _mm512_xor_si512(c, d)));
  return lanes[0] ^ lanes[1] ^ lanes[2] ^ lanes[3] ^ lanes[4] ^ lanes[5] ^ lanes[6] ^ lanes[7];
}

double PeakBf16(int64_t rounds) {
  __m512 acc[kChains];
  BANYAN_UNROLL
  for (int i = 0; i < kChains; ++i) acc[i] = _mm512_set1_ps(static_cast<float>(i));
  __m512i x = _mm512_set1_epi32(0x3f803f80);
  __asm__("" : "+v"(x));
  for (int64_t round = 0; round < rounds; ++round) {
    BANYAN_UNROLL
    for (int i = 0; i < kChains; ++i) {
      acc[i] = _mm512_dpbf16_ps(acc[i], (__m512bh)x, (__m512bh)x);
      __asm__("" : "+v"(acc[i]));
    }
  }
  float lanes[16];
  BANYAN_UNROLL
  for (int i = 1; i < kChains; ++i) acc[0] = _mm512_add_ps(acc[0], acc[i]);
  _mm512_storeu_ps(lanes, acc[0]);
  sink += static_cast<uint64_t>(lanes[0]);
  return static_cast<double>(rounds) * kChains * 64;
}

double PeakFloat32(int64_t rounds) {
  __m512 acc[kChains];
  BANYAN_UNROLL
  for (int i = 0; i < kChains; ++i) acc[i] = _mm512_set1_ps(static_cast<float>(i));
  __m512 x = _mm512_set1_ps(0.5f);
  __asm__("" : "+v"(x));
  for (int64_t round = 0; round < rounds; ++round) {
    BANYAN_UNROLL
    for (int i = 0; i < kChains; ++i) {
      acc[i] = _mm512_fmadd_ps(acc[i], x, x);
      __asm__("" : "+v"(acc[i]));
    }
  }
  float lanes[16];
  BANYAN_UNROLL
  for (int i = 1; i < kChains; ++i) acc[0] = _mm512_add_ps(acc[0], acc[i]);
  _mm512_storeu_ps(lanes, acc[0]);
  sink += static_cast<uint64_t>(lanes[0]);
  return static_cast<double>(rounds) * kChains * 32;
}

}  // namespace
}  // namespace banyan::bench
BANYAN_TARGET_END

BANYAN_TARGET_BEGIN_AVX2
namespace banyan::bench {
namespace {

double PeakAvx2(int64_t rounds) {
  constexpr int kAvx2Chains = 12;
  __m256 acc[kAvx2Chains];
  BANYAN_UNROLL
  for (int i = 0; i < kAvx2Chains; ++i) acc[i] = _mm256_set1_ps(static_cast<float>(i));
  __m256 x = _mm256_set1_ps(0.5f);
  __asm__("" : "+x"(x));
  for (int64_t round = 0; round < rounds; ++round) {
    BANYAN_UNROLL
    for (int i = 0; i < kAvx2Chains; ++i) {
      acc[i] = _mm256_fmadd_ps(acc[i], x, x);
      __asm__("" : "+x"(acc[i]));
    }
  }
  float lanes[8];
  BANYAN_UNROLL
  for (int i = 1; i < kAvx2Chains; ++i) acc[0] = _mm256_add_ps(acc[0], acc[i]);
  _mm256_storeu_ps(lanes, acc[0]);
  sink += static_cast<uint64_t>(lanes[0]);
  return static_cast<double>(rounds) * kAvx2Chains * 16;
}

}  // namespace
}  // namespace banyan::bench
BANYAN_TARGET_END

namespace banyan::bench {
namespace {

uint64_t ReadBaseline(const char* data, size_t bytes) {
  uint64_t sums[4] = {};
  const auto* words = reinterpret_cast<const uint64_t*>(data);
  for (size_t i = 0; i + 4 <= bytes / 8; i += 4) {
    for (size_t j = 0; j < 4; ++j) sums[j] ^= words[i + j];
  }
  return sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
}

}  // namespace

double WallSeconds() { return Seconds(CLOCK_MONOTONIC); }
double ThreadSeconds() { return Seconds(CLOCK_THREAD_CPUTIME_ID); }

uint64_t ReadMemory(const char* data, size_t bytes, kernels::cpu::ThreadPool& pool) {
  const bool wide = kernels::cpu::IsaSupported(kernels::cpu::Isa::kAvx512);
  // Pieces of 1 MiB with stealing, as the linear layers run.
  constexpr size_t kPiece = size_t{1} << 20;
  const auto pieces = static_cast<int64_t>((bytes + kPiece - 1) / kPiece);
  pool.ParallelFor(pieces, 1, [&](int, int64_t begin, int64_t end) {
    const size_t first = static_cast<size_t>(begin) * kPiece;
    const size_t size = std::min(bytes, static_cast<size_t>(end) * kPiece) - first;
    sink += wide ? ReadAvx512(data + first, size) : ReadBaseline(data + first, size);
  });
  return sink;
}

double RunPeakLoop(PeakKind kind, double flops) {
  if (!kernels::cpu::IsaSupported(kernels::cpu::Isa::kAvx512)) {
    return kernels::cpu::IsaSupported(kernels::cpu::Isa::kAvx2)
               ? PeakAvx2(static_cast<int64_t>(flops / (12 * 16)))
               : 0.0;
  }
  return kind == PeakKind::kBFloat16 ? PeakBf16(static_cast<int64_t>(flops / (kChains * 64)))
                                     : PeakFloat32(static_cast<int64_t>(flops / (kChains * 32)));
}

}  // namespace banyan::bench
