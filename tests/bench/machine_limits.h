// What the machine can do at most, measured in the same run as the kernels that are held against
// it: a plain read of memory, and a loop of multiply-adds that never leaves the registers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/thread_pool.h"

namespace banyan::bench {

double WallSeconds();
// Processor time of the calling thread: what a shared machine's neighbours cannot change.
double ThreadSeconds();

// Reads [data, data + bytes) once, each thread one contiguous share. Returns a value that depends
// on all of it.
uint64_t ReadMemory(const char* data, size_t bytes, kernels::cpu::ThreadPool& pool);

enum class PeakKind { kBFloat16, kFloat32 };
// Runs about `flops` multiply-adds of the kind on the calling thread (two operations each) and
// returns how many operations it did.
double RunPeakLoop(PeakKind kind, double flops);

}  // namespace banyan::bench
