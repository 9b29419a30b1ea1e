// The CPU backend's ops beside their limits, on random weights of real shapes.
//
//   kernels_bench [--shape 1b|135m] [--threads N] [--seconds S] [--only SUBSTRING]
//
// Memory-bound ops (decode) run on all threads in wall time and are held against a plain read of
// the same bytes, alternating with it. Compute-bound ops (prefill) run on one thread in its
// processor time and are held against a register-only loop, alternating with it. Figures are the
// median and the best of all samples; percent is limit time over op time, median by median and best
// by best. Linear layers of four layers (half a gigabyte at 1b) are cycled, so that none comes from
// a cache.
#include <cstdlib>

#include "tests/bench/op_bench.h"

namespace {

banyan::bench::Options ParseOptions(int argc, char** argv) {
  banyan::bench::Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const std::string value = argv[i + 1];
    if (name == "--threads") options.threads = std::atoi(value.c_str());
    if (name == "--seconds") options.seconds = std::atof(value.c_str());
    if (name == "--only") options.only = value;
    if (name != "--shape") continue;
    for (const auto& shape : banyan::bench::kShapes) {
      if (shape.name == value) options.shape = shape;
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const banyan::bench::Options options = ParseOptions(argc, argv);
  std::printf("shape %s, %d threads, path %s\n%-34s %9s %9s %-8s\n", options.shape.name.c_str(),
              options.threads,
              std::string(banyan::kernels::cpu::IsaName(banyan::kernels::cpu::BestIsa())).c_str(),
              "op", "median", "best", "unit");
  banyan::bench::BenchLinear(options);
  banyan::bench::BenchAttention(options);
  banyan::bench::BenchRowOps(options);
  return 0;
}
