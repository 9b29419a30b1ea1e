// Cuts one attention op into tasks of the inner kernel and runs them on the pool.
//
// A task is at most 64 rows (query tokens x heads of one KV head) and all their chunks. When there
// are too few tasks to keep the threads busy (decode of a few long sequences), each chunk becomes a
// task of its own and a second phase merges the chunks in order: the bits are the same either way.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "kernels/backend.h"
#include "kernels/cpu/kernel_table.h"
#include "kernels/cpu/memory_region.h"
#include "kernels/cpu/thread_pool.h"

namespace banyan::kernels::cpu {

class AttentionPlan {
 public:
  // Memory for every op within `limits`.
  absl::Status Reserve(const BackendLimits& limits, int num_threads);

  void Run(const AttentionArgs& args, const KvLayout& kv, const KernelTable& kernels,
           ThreadPool& pool);

 private:
  // Tasks of all sequences, chunks not yet split.
  void ListTasks(const AttentionArgs& args, const KvLayout& kv);
  void AddSequence(const AttentionArgs& args, const KvLayout& kv, int sequence);
  void AddTask(const AttentionArgs& args, const AttentionTask& task);
  // Gives every chunk a task of its own; false when their records do not fit.
  bool SplitChunks(const KvLayout& kv);

  std::vector<AttentionTask> tasks_;
  std::vector<AttentionTask> chunk_tasks_;
  MemoryRegion partials_;
  MemoryRegion scratch_;
  size_t scratch_bytes_ = 0;  // of one thread
  int num_threads_ = 1;
};

}  // namespace banyan::kernels::cpu
