#include "kernels/cpu/attention_plan.h"

#include <algorithm>

#include "common/base/status_macros.h"

namespace banyan::kernels::cpu {
namespace {

constexpr float kLog2E = 1.44269504088896341f;
// Fewer tasks than this for each thread, and chunks are split.
constexpr int64_t kTasksPerThread = 4;
// Bound on the records of split chunks.
constexpr size_t kPartialBytesMax = size_t{32} << 20;

}  // namespace

absl::Status AttentionPlan::Reserve(const BackendLimits& limits, int num_threads) {
  num_threads_ = num_threads;
  scratch_bytes_ = static_cast<size_t>(
      RoundUp(static_cast<int64_t>(AttentionScratchBytes(limits.max_head_size)), 4096));
  BANYAN_ASSIGN_OR_RETURN(
      scratch_,
      MemoryRegion::Map(scratch_bytes_ * static_cast<size_t>(num_threads), "attention scratch"));
  BANYAN_ASSIGN_OR_RETURN(partials_, MemoryRegion::Map(kPartialBytesMax, "attention partials"));
  // Every (token, head) could be a task of its own.
  tasks_.reserve(static_cast<size_t>(limits.max_step_tokens) *
                 static_cast<size_t>(limits.max_heads));
  const int64_t chunks = limits.max_context_tokens / kChunkTokens + 1;
  chunk_tasks_.reserve(static_cast<size_t>(chunks * kTasksPerThread * num_threads));
  return absl::OkStatus();
}

void AttentionPlan::AddTask(const AttentionArgs& args, const AttentionTask& task) {
  AttentionTask added = task;
  int64_t first = added.first_slot;
  int64_t last = added.first_slot + added.num_tokens - 1;
  if (args.batch->tree_mask != nullptr) {
    first = last = args.batch->positions[added.first_row];
    added.tree_mask = args.batch->tree_mask + added.first_row * 2;
  }
  const int64_t first_seen =
      args.sliding_window > 0 ? std::max<int64_t>(0, first - args.sliding_window + 1) : 0;
  added.chunk_begin = first_seen / kChunkTokens;
  added.chunk_end = last / kChunkTokens + 1;
  tasks_.push_back(added);
}

void AttentionPlan::AddSequence(const AttentionArgs& args, const KvLayout& kv, int sequence) {
  const RaggedBatch& batch = *args.batch;
  const int first_token = batch.query_begin[sequence];
  const int num_new = batch.query_begin[sequence + 1] - first_token;
  const int group = args.num_heads / kv.num_kv_heads;
  AttentionTask task;
  task.kv = &kv;
  task.layer = args.layer;
  task.block_table = batch.block_tables + int64_t{sequence} * batch.block_table_pitch;
  task.q = &args.q;
  task.out = &args.out;
  task.scale_log2 = args.scale * kLog2E;
  task.window = args.sliding_window;
  task.num_cached = batch.num_cached[sequence];
  task.new_positions = batch.positions + first_token;
  task.num_heads = std::min(group, kMaxQueryRows);
  const int most_tokens = batch.tree_mask != nullptr ? 1 : kMaxQueryRows / task.num_heads;
  for (int g = 0; g < kv.num_kv_heads; ++g) {
    task.kv_head = g;
    for (int head = 0; head < group; head += kMaxQueryRows) {
      task.first_head = g * group + head;
      task.num_heads = std::min(group - head, kMaxQueryRows);
      for (int token = 0; token < num_new; token += most_tokens) {
        task.num_tokens = std::min(most_tokens, num_new - token);
        task.first_row = first_token + token;
        task.first_slot = task.num_cached + token;
        AddTask(args, task);
      }
    }
  }
}

void AttentionPlan::ListTasks(const AttentionArgs& args, const KvLayout& kv) {
  tasks_.clear();
  for (int s = 0; s < args.batch->num_sequences; ++s) AddSequence(args, kv, s);
}

bool AttentionPlan::SplitChunks(const KvLayout& kv) {
  chunk_tasks_.clear();
  size_t floats = 0;
  auto* partials = reinterpret_cast<float*>(partials_.data());
  for (AttentionTask& task : tasks_) {
    const int64_t record_floats =
        int64_t{task.num_tokens} * task.num_heads * PartialPitch(kv.value_width);
    const int64_t chunks = task.chunk_end - task.chunk_begin;
    task.partials = partials + floats;
    floats += static_cast<size_t>(chunks * record_floats);
    if (floats * sizeof(float) > partials_.size_bytes()) return false;
    for (int64_t i = 0; i < chunks; ++i) {
      AttentionTask chunk = task;
      chunk.chunk_begin = task.chunk_begin + i;
      chunk.chunk_end = chunk.chunk_begin + 1;
      chunk.partials = task.partials + i * record_floats;
      chunk_tasks_.push_back(chunk);
    }
  }
  return true;
}

void AttentionPlan::Run(const AttentionArgs& args, const KvLayout& kv, const KernelTable& kernels,
                        ThreadPool& pool) {
  ListTasks(args, kv);
  const auto run = [&](std::vector<AttentionTask>& tasks) {
    pool.ParallelFor(
        static_cast<int64_t>(tasks.size()), 1, [&](int thread, int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            AttentionTask& task = tasks[static_cast<size_t>(i)];
            task.scratch = scratch_.data() + static_cast<size_t>(thread) * scratch_bytes_;
            kernels.attention(task);
          }
        });
  };
  const auto num_tasks = static_cast<int64_t>(tasks_.size());
  const bool long_context = std::any_of(tasks_.begin(), tasks_.end(), [](const AttentionTask& t) {
    return t.chunk_end - t.chunk_begin > 1;
  });
  if (num_threads_ > 1 && long_context && num_tasks < kTasksPerThread * num_threads_ &&
      SplitChunks(kv)) {
    run(chunk_tasks_);
    for (const AttentionTask& task : tasks_) kernels.attention_merge(task);
    return;
  }
  for (AttentionTask& task : tasks_) task.partials = nullptr;
  run(tasks_);
}

}  // namespace banyan::kernels::cpu
