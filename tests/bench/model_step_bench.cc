// Steps of a whole model on the CPU backend: tokens a second, percent of the machine's limit, and
// where the time goes.
//
//   model_step_bench [--model PATH | --shape 1b|135m] [--threads N] [--seconds S] [--prompt N]
//                    [--batches 1,16] [--temperature X]
//
// --model loads a checkpoint (GGUF file or Hugging Face directory), --shape makes random weights.
// A prefill step is one sequence of --prompt tokens without a sample; its limit is the bfloat16
// multiply-adds of a loop that stays in registers, on all threads. A decode step is one token for
// each of a batch of sequences with --prompt tokens of context; its limit is the longer of a plain
// read of as many bytes as weights and context take, and that loop. Steps alternate with their
// limits, all in wall time, so that a shared machine slows both. Figures are median and best;
// percent is limit time over step time.
#include <sys/resource.h>

#include <cstdlib>
#include <cstring>
#include <sstream>

#include "tests/bench/op_bench.h"
#include "tests/bench/synthetic_checkpoint.h"
#include "tests/bench/timed_backend.h"
#include "worker/model/load_model.h"
#include "worker/model/model_executor.h"

namespace banyan::bench {
namespace {

constexpr int32_t kBlockSize = 16;
constexpr int32_t kStepTokens = 512;

struct StepOptions {
  std::string model;
  std::string shape = "135m";
  int threads = kernels::cpu::UsableCores();
  double seconds = 3.0;
  int32_t prompt = 512;
  std::vector<int32_t> batches = {1, 16};
  float temperature = 0;
};

ModelConfig ConfigOf(const ModelShape& shape) {
  ModelConfig config;
  config.architecture_name = "llama";
  config.name = shape.name;
  config.vocabulary_size = shape.vocabulary;
  config.hidden_size = shape.hidden;
  config.intermediate_size = shape.inter;
  config.num_layers = shape.layers;
  config.num_heads = shape.heads;
  config.num_kv_heads = shape.kv_heads;
  config.head_size = shape.head_size;
  config.context_length = 8192;
  config.tied_embeddings = true;
  return config;
}

std::unique_ptr<Checkpoint> OpenCheckpoint(const StepOptions& options) {
  if (options.model.empty()) {
    for (const ModelShape& shape : kShapes) {
      if (shape.name == options.shape) {
        return std::make_unique<SyntheticCheckpoint>(ConfigOf(shape));
      }
    }
    BANYAN_CHECK(false) << "--shape " << options.shape << ": known are 1b and 135m";
  }
  auto checkpoint = Checkpoint::Open(options.model);
  BANYAN_CHECK(checkpoint.ok()) << checkpoint.status().ToString();
  return *std::move(checkpoint);
}

double ProcessSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// One loaded model and the machine's limits beside it.
class StepBench {
 public:
  explicit StepBench(const StepOptions& options);
  void Prefill();
  void Decode(int32_t batch);

 private:
  // Weights that every token is multiplied with, but for the head.
  double LayerParameters() const;
  double HeadParameters() const;
  // Both products of one token at the end of a context of `context` tokens.
  double AttentionFlops(double context) const;
  worker::SequencePlan MakeSequence(int32_t index, int32_t num_cached, int32_t num_new) const;
  void Execute(worker::StepPlan& plan);
  double TimePeak(double flops);
  double TimeRead(size_t bytes);
  // Alternates the step with its limit; `tokens` is what a step makes.
  void Measure(const std::string& name, double tokens, worker::StepPlan& plan,
               const std::function<double()>& limit);

  const StepOptions options_;
  kernels::cpu::ThreadPool pool_;  // the limits'; sleeps while the backend works
  std::unique_ptr<TimedBackend> backend_;
  std::unique_ptr<worker::ModelExecutor> executor_;
  worker::StepResult result_;
  size_t weight_bytes_ = 0;
  kernels::cpu::MemoryRegion read_memory_;
};

StepBench::StepBench(const StepOptions& options) : options_(options), pool_(options.threads) {
  const double begin = WallSeconds();
  const std::unique_ptr<Checkpoint> checkpoint = OpenCheckpoint(options);
  auto cpu = kernels::CreateCpuBackend({.threads = options.threads});
  BANYAN_CHECK(cpu.ok()) << cpu.status().ToString();
  backend_ = std::make_unique<TimedBackend>(*std::move(cpu), checkpoint->config().vocabulary_size);
  const worker::ModelOptions model_options{.max_step_tokens = kStepTokens};
  const double load_begin = WallSeconds();
  const double load_cpu_begin = ProcessSeconds();
  auto model = worker::LoadModel(*checkpoint, *backend_, model_options, {});
  BANYAN_CHECK(model.ok()) << model.status().ToString();
  const double loaded = WallSeconds();
  std::printf("%s, %d threads, %s: opened in %.2f s, packed in %.2f s (%.2f s of processor time)\n",
              checkpoint->config().name.c_str(), options.threads, backend_->numerics_id().c_str(),
              load_begin - begin, loaded - load_begin, ProcessSeconds() - load_cpu_begin);
  weight_bytes_ = (*model)->weights().SizeBytes();
  const int32_t sequences = *std::max_element(options.batches.begin(), options.batches.end());
  const int32_t blocks = options.prompt / kBlockSize + 2;
  auto executor = worker::ModelExecutor::Create(*std::move(model), sequences * blocks);
  BANYAN_CHECK(executor.ok()) << executor.status().ToString();
  executor_ = *std::move(executor);
  const size_t read_bytes = weight_bytes_ + executor_->cache().size_bytes();
  auto memory = kernels::cpu::MemoryRegion::Map(read_bytes, "the read limit");
  BANYAN_CHECK(memory.ok()) << memory.status().ToString();
  read_memory_ = *std::move(memory);
  std::memset(read_memory_.data(), 1, read_bytes);
}

double StepBench::HeadParameters() const {
  const ModelConfig& config = executor_->model().config();
  return static_cast<double>(config.vocabulary_size * config.hidden_size);
}

double StepBench::LayerParameters() const {
  const ModelConfig& c = executor_->model().config();
  const int64_t attention = 2 * c.hidden_size * (c.num_heads + c.num_kv_heads) * c.head_size;
  return static_cast<double>(c.num_layers * (attention + 3 * c.hidden_size * c.intermediate_size));
}

double StepBench::AttentionFlops(double context) const {
  const ModelConfig& c = executor_->model().config();
  return 4.0 * static_cast<double>(c.num_layers * c.num_heads * c.head_size) * context;
}

worker::SequencePlan StepBench::MakeSequence(int32_t index, int32_t num_cached,
                                             int32_t num_new) const {
  worker::SequencePlan sequence;
  sequence.num_cached = num_cached;
  const int32_t blocks = options_.prompt / kBlockSize + 2;
  for (int32_t i = 0; i < blocks; ++i) {
    sequence.block_table.push_back(static_cast<BlockId>(index * blocks + i));
  }
  const auto vocabulary = executor_->model().config().vocabulary_size;
  for (int32_t i = 0; i < num_new; ++i) {
    sequence.new_tokens.push_back(
        static_cast<TokenId>((int64_t{num_cached + i} * 7919 + index * 104729) % vocabulary));
  }
  return sequence;
}

void StepBench::Execute(worker::StepPlan& plan) {
  ++plan.step;
  const absl::Status status = executor_->Execute(plan, result_);
  BANYAN_CHECK(status.ok()) << status.ToString();
}

double StepBench::TimePeak(double flops) {
  const double begin = WallSeconds();
  const double share = flops / options_.threads / 64;
  pool_.ParallelFor(int64_t{64} * options_.threads, 1, [&](int, int64_t from, int64_t to) {
    RunPeakLoop(PeakKind::kBFloat16, share * static_cast<double>(to - from));
  });
  return WallSeconds() - begin;
}

double StepBench::TimeRead(size_t bytes) {
  const double begin = WallSeconds();
  ReadMemory(read_memory_.data(), bytes, pool_);
  return WallSeconds() - begin;
}

void StepBench::Measure(const std::string& name, double tokens, worker::StepPlan& plan,
                        const std::function<double()>& limit) {
  Execute(plan);
  backend_->TakeSeconds();
  std::vector<double> steps;
  std::vector<double> limits;
  std::array<std::vector<double>, kNumOpKinds> kinds;
  double processor = 0;
  const double end = WallSeconds() + options_.seconds;
  while (WallSeconds() < end || steps.size() < 5) {
    limits.push_back(limit());
    const double processor_begin = ProcessSeconds();
    steps.push_back(Timed(WallSeconds, [&] { Execute(plan); }));
    processor += ProcessSeconds() - processor_begin;
    const auto seconds = backend_->TakeSeconds();
    for (size_t i = 0; i < kNumOpKinds; ++i) kinds[i].push_back(seconds[i]);
  }
  const Figures step = FiguresOf(steps);
  const Figures most = FiguresOf(limits);
  std::printf(
      "%-24s %9.1f %9.1f tok/s   limit %9.1f %9.1f   %5.1f%% %5.1f%%   %.2f cores, %zu steps\n",
      name.c_str(), tokens / step.median, tokens / step.best, tokens / most.median,
      tokens / most.best, 100 * most.median / step.median, 100 * most.best / step.best,
      processor / (step.median * static_cast<double>(steps.size())), steps.size());
  std::printf("  us (median, best):");
  for (size_t i = 0; i < kNumOpKinds; ++i) {
    const Figures kind = FiguresOf(kinds[i]);
    if (kind.median <= 0) continue;
    std::printf("  %s %.0f %.0f", std::string(kOpNames[i]).c_str(), kind.median * 1e6,
                kind.best * 1e6);
  }
  std::printf("  step %.0f %.0f\n", step.median * 1e6, step.best * 1e6);
  std::fflush(stdout);
}

void StepBench::Prefill() {
  worker::StepPlan plan;
  plan.num_tokens = std::min(options_.prompt, kStepTokens);
  plan.sequences.push_back(MakeSequence(0, 0, plan.num_tokens));
  const double tokens = plan.num_tokens;
  const double flops = tokens * (2 * LayerParameters() + AttentionFlops(tokens / 2));
  Measure("prefill " + std::to_string(plan.num_tokens), tokens, plan,
          [&] { return TimePeak(flops); });
}

void StepBench::Decode(int32_t batch) {
  for (int32_t i = 0; i < batch; ++i) {
    for (int32_t begin = 0; begin < options_.prompt; begin += kStepTokens) {
      worker::StepPlan fill;
      fill.num_tokens = std::min(kStepTokens, options_.prompt - begin);
      fill.sequences.push_back(MakeSequence(i, begin, fill.num_tokens));
      Execute(fill);
    }
  }
  worker::StepPlan plan;
  plan.num_tokens = batch;
  for (int32_t i = 0; i < batch; ++i) {
    worker::SequencePlan sequence = MakeSequence(i, options_.prompt, 1);
    worker::SamplePlan sample;
    sample.row.temperature = options_.temperature;
    sample.row.seed = static_cast<uint64_t>(i);
    sample.row.position = static_cast<uint64_t>(options_.prompt) + 1;
    sequence.samples.push_back(sample);
    plan.sequences.push_back(std::move(sequence));
  }
  const auto blocks =
      static_cast<size_t>(options_.prompt / kBlockSize) * static_cast<size_t>(batch);
  const size_t block_bytes =
      executor_->cache().size_bytes() / static_cast<size_t>(executor_->cache().shape().num_blocks);
  const size_t bytes = weight_bytes_ + blocks * block_bytes;
  const double flops = 2.0 * batch * (LayerParameters() + HeadParameters()) +
                       batch * AttentionFlops(options_.prompt);
  Measure("decode x" + std::to_string(batch), batch, plan,
          [&] { return std::max(TimeRead(bytes), TimePeak(flops)); });
}

StepOptions ParseStepOptions(int argc, char** argv) {
  StepOptions options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const std::string value = argv[i + 1];
    if (name == "--model") options.model = value;
    if (name == "--shape") options.shape = value;
    if (name == "--threads") options.threads = std::atoi(value.c_str());
    if (name == "--seconds") options.seconds = std::atof(value.c_str());
    if (name == "--prompt") options.prompt = std::atoi(value.c_str());
    if (name == "--temperature") options.temperature = std::strtof(value.c_str(), nullptr);
    if (name != "--batches") continue;
    options.batches.clear();
    std::istringstream list(value);
    for (std::string item; std::getline(list, item, ',');) {
      options.batches.push_back(std::atoi(item.c_str()));
    }
  }
  BANYAN_CHECK(!options.batches.empty() && options.prompt > 0 && options.threads > 0)
      << "--batches, --prompt and --threads must be positive";
  return options;
}

}  // namespace
}  // namespace banyan::bench

int main(int argc, char** argv) {
  const banyan::bench::StepOptions options = banyan::bench::ParseStepOptions(argc, argv);
  banyan::bench::StepBench bench(options);
  bench.Prefill();
  for (const int32_t batch : options.batches) bench.Decode(batch);
  return 0;
}
