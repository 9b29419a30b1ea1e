#include "tests/worker/model/model_fixture.h"

#include <algorithm>

#include "kernels/philox.h"
#include "kernels/reference/reference_backend.h"
#ifdef BANYAN_TEST_CPU_BACKEND
#include "kernels/cpu/cpu_backend.h"
#endif

namespace banyan::worker::testing {

#ifdef BANYAN_TEST_CPU_BACKEND
namespace {

std::unique_ptr<kernels::Backend> MakeCpu(kernels::DType activation) {
  kernels::CpuBackendOptions options;
  options.activation = activation;
  auto backend = kernels::CreateCpuBackend(options);
  BANYAN_CHECK(backend.ok()) << backend.status().ToString();
  return *std::move(backend);
}

}  // namespace
#endif

const std::vector<TestBackend>& TestBackends() {
  static const std::vector<TestBackend> backends = {
      {"reference", [] { return kernels::CreateReferenceBackend(kernels::DType::kFloat32); }},
#ifdef BANYAN_TEST_CPU_BACKEND
      {"cpu", [] { return MakeCpu(kernels::DType::kFloat32); }},
#endif
  };
  return backends;
}

const std::vector<TestBackend>& FastBFloat16Backends() {
  static const std::vector<TestBackend> backends = {
#ifdef BANYAN_TEST_CPU_BACKEND
      {"cpu_bf16", [] { return MakeCpu(kernels::DType::kBFloat16); }},
#endif
  };
  return backends;
}

RunnableModel::RunnableModel(const TestBackend& backend, const Checkpoint& checkpoint,
                             ModelOptions options, int32_t num_blocks)
    : backend_(backend.make()) {
  absl::StatusOr<std::unique_ptr<Transformer>> model =
      LoadModel(checkpoint, *backend_, options, nullptr);
  BANYAN_CHECK(model.ok()) << model.status().ToString();
  model_ = *std::move(model);
  auto cache = backend_->CreateKvCache(model_->CacheShape(num_blocks));
  BANYAN_CHECK(cache.ok()) << cache.status().ToString();
  cache_ = *std::move(cache);
  batch_ = *StepBatch::Create({.options = model_->options(),
                               .vocabulary_size = model_->config().vocabulary_size,
                               .num_blocks = num_blocks},
                              *backend_);
}

std::vector<float> RunnableModel::Step(std::span<const SequenceRun* const> sequences,
                                       std::span<const int32_t> begins,
                                       std::span<const int32_t> ends, LogitRows rows) {
  StepPlan plan;
  for (size_t s = 0; s < sequences.size(); ++s) {
    SequencePlan part;
    part.num_cached = begins[s];
    part.new_tokens.assign(sequences[s]->tokens.begin() + begins[s],
                           sequences[s]->tokens.begin() + ends[s]);
    part.block_table = sequences[s]->block_table;
    const auto num_new = static_cast<int32_t>(part.new_tokens.size());
    for (int32_t j = rows == LogitRows::kAll ? 0 : num_new - 1; j < num_new; ++j) {
      part.samples.emplace_back().new_token = j;
    }
    plan.num_tokens += ends[s] - begins[s];
    plan.sequences.push_back(std::move(part));
  }
  batch_->Fill(plan);
  model_->Forward(batch_->batch(), batch_->token_ids(), *cache_);
  std::vector<float> logits;
  const int32_t max_rows = model_->options().max_logit_rows;
  for (int32_t begin = 0; begin < batch_->num_samples(); begin += max_rows) {
    const int32_t num_rows = std::min(max_rows, batch_->num_samples() - begin);
    const kernels::Matrix part =
        model_->ComputeLogits(batch_->UploadSampleRows(begin, begin + num_rows), num_rows);
    backend_->Synchronize();
    for (int32_t r = 0; r < num_rows; ++r) {
      const size_t offset = logits.size();
      logits.resize(offset + static_cast<size_t>(part.cols));
      backend_->Download(logits.data() + offset, part.Row<float>(r),
                         static_cast<size_t>(part.cols) * sizeof(float));
    }
  }
  return logits;
}

std::vector<float> RunnableModel::Run(const SequenceRun& sequence, int32_t chunk) {
  std::vector<float> logits;
  const auto length = static_cast<int32_t>(sequence.tokens.size());
  const SequenceRun* const sequences[] = {&sequence};
  for (int32_t begin = 0; begin < length; begin += chunk) {
    const int32_t begins[] = {begin};
    const int32_t ends[] = {std::min(begin + chunk, length)};
    const std::vector<float> part = Step(sequences, begins, ends);
    logits.insert(logits.end(), part.begin(), part.end());
  }
  return logits;
}

std::vector<float> RunnableModel::RunForLast(const SequenceRun& sequence, int32_t chunk) {
  std::vector<float> logits;
  const auto length = static_cast<int32_t>(sequence.tokens.size());
  const SequenceRun* const sequences[] = {&sequence};
  for (int32_t begin = 0; begin < length; begin += chunk) {
    const int32_t begins[] = {begin};
    const int32_t ends[] = {std::min(begin + chunk, length)};
    logits = Step(sequences, begins, ends, LogitRows::kLast);
  }
  return logits;
}

std::vector<TokenId> RunnableModel::Greedy(SequenceRun sequence, int32_t count,
                                           int32_t prefill_chunk) {
  std::vector<float> logits = RunForLast(sequence, prefill_chunk);
  const SequenceRun* const sequences[] = {&sequence};
  std::vector<TokenId> output;
  while (true) {
    const auto last = logits.end() - vocabulary_size();
    output.push_back(static_cast<TokenId>(std::max_element(last, logits.end()) - last));
    if (output.size() == static_cast<size_t>(count)) return output;
    sequence.tokens.push_back(output.back());
    const auto length = static_cast<int32_t>(sequence.tokens.size());
    const int32_t begins[] = {length - 1};
    const int32_t ends[] = {length};
    logits = Step(sequences, begins, ends);
  }
}

std::vector<BlockId> PlainTable(int64_t num_tokens, int32_t block_size) {
  std::vector<BlockId> table;
  for (int64_t i = 0; i * block_size < num_tokens; ++i) table.push_back(static_cast<BlockId>(i));
  return table;
}

std::vector<TokenId> RandomTokens(int32_t count, int64_t vocabulary_size, uint64_t seed) {
  std::vector<TokenId> tokens;
  for (int32_t i = 0; i < count; ++i) {
    const uint32_t bits = kernels::NoiseBits({seed, 7, 0}, static_cast<uint32_t>(i))[0];
    tokens.push_back(static_cast<TokenId>(bits % static_cast<uint64_t>(vocabulary_size)));
  }
  return tokens;
}

}  // namespace banyan::worker::testing
