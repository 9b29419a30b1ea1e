// Batch invariance of the whole model, bit for bit, on every backend and architecture: chunked
// prefill against whole, scattered blocks against consecutive ones, a batch of many against each
// sequence alone, logits in groups of rows against all at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/tiny_model.h"
#include "tests/worker/model/model_fixture.h"

namespace banyan::worker::testing {
namespace {

constexpr int32_t kNumBlocks = 96;

struct Case {
  TestBackend backend;
  Architecture architecture;
};

class ModelEquivalenceTest : public ::testing::TestWithParam<Case> {
 protected:
  ModelEquivalenceTest()
      : checkpoint_(
            banyan::testing::MakeTinyCheckpoint({.architecture = GetParam().architecture})) {}

  RunnableModel Load(ModelOptions options = {}) {
    options.context_length = 512;
    return RunnableModel(GetParam().backend, *checkpoint_, options, kNumBlocks);
  }
  SequenceRun MakeSequence(int32_t length, uint64_t seed, int32_t block_size = 16) {
    return {RandomTokens(length, checkpoint_->config().vocabulary_size, seed),
            PlainTable(length, block_size)};
  }

  std::unique_ptr<Checkpoint> checkpoint_;
};

TEST_P(ModelEquivalenceTest, ChunkedPrefillGivesTheBitsOfWholePrefill) {
  const SequenceRun sequence = MakeSequence(300, 1);
  const std::vector<float> whole = Load().Run(sequence, 300);
  for (int32_t chunk : {1, 7, 16, 64, 255}) EXPECT_EQ(Load().Run(sequence, chunk), whole) << chunk;
}

TEST_P(ModelEquivalenceTest, ScatteredBlocksGiveTheBitsOfConsecutiveOnes) {
  SequenceRun sequence = MakeSequence(200, 2);
  const std::vector<float> plain = Load().Run(sequence, 50);
  for (size_t i = 0; i < sequence.block_table.size(); ++i) {
    sequence.block_table[i] = static_cast<BlockId>((i * 37 + 5) % kNumBlocks);
  }
  EXPECT_EQ(Load().Run(sequence, 50), plain);
}

TEST_P(ModelEquivalenceTest, BlockSizeDoesNotChangeBits) {
  const std::vector<float> plain = Load().Run(MakeSequence(90, 3), 90);
  EXPECT_EQ(Load({.block_size = 32}).Run(MakeSequence(90, 3, 32), 31), plain);
  EXPECT_EQ(Load({.block_size = 64}).Run(MakeSequence(90, 3, 64), 31), plain);
}

TEST_P(ModelEquivalenceTest, ABatchOfManyGivesTheBitsOfEachAlone) {
  constexpr int32_t kSequences = 7;
  std::vector<SequenceRun> sequences;
  std::vector<const SequenceRun*> pointers;
  for (int32_t s = 0; s < kSequences; ++s)
    sequences.push_back(MakeSequence(60, 10 + static_cast<uint64_t>(s)));
  int32_t next_block = 0;
  for (SequenceRun& sequence : sequences) {
    for (BlockId& block : sequence.block_table) block = static_cast<BlockId>(next_block++);
    pointers.push_back(&sequence);
  }
  // Each sequence joins with another length, so that prefill and decode share steps.
  RunnableModel batch_model = Load();
  std::vector<std::vector<float>> batched(kSequences);
  std::vector<int32_t> begins(kSequences, 0);
  while (begins[0] < 60) {
    std::vector<int32_t> ends;
    for (int32_t s = 0; s < kSequences; ++s) {
      ends.push_back(std::min(60, begins[static_cast<size_t>(s)] + 1 + s * 9 % 20));
    }
    std::vector<const SequenceRun*> running;
    std::vector<int32_t> run_begins;
    std::vector<int32_t> run_ends;
    std::vector<size_t> index;
    for (size_t s = 0; s < kSequences; ++s) {
      if (begins[s] == ends[s]) continue;
      running.push_back(pointers[s]);
      run_begins.push_back(begins[s]);
      run_ends.push_back(ends[s]);
      index.push_back(s);
    }
    const std::vector<float> logits = batch_model.Step(running, run_begins, run_ends);
    auto from = logits.begin();
    for (size_t i = 0; i < running.size(); ++i) {
      const auto to = from + (run_ends[i] - run_begins[i]) * batch_model.vocabulary_size();
      batched[index[i]].insert(batched[index[i]].end(), from, to);
      from = to;
    }
    begins = ends;
  }
  for (size_t s = 0; s < kSequences; ++s) {
    EXPECT_EQ(Load().Run(sequences[s], 60), batched[s]) << "sequence " << s;
  }
}

TEST_P(ModelEquivalenceTest, LogitsInGroupsOfRowsAreTheSame) {
  const SequenceRun sequence = MakeSequence(40, 4);
  EXPECT_EQ(Load({.max_logit_rows = 3}).Run(sequence, 40), Load().Run(sequence, 40));
}

TEST_P(ModelEquivalenceTest, EveryTokenMatters) {
  // Guards the tests above: a model that ignored its input would pass them.
  SequenceRun sequence = MakeSequence(20, 5);
  RunnableModel model = Load();
  const std::vector<float> before = model.Run(sequence, 20);
  sequence.tokens[3] = (sequence.tokens[3] + 1) % static_cast<TokenId>(model.vocabulary_size());
  const std::vector<float> after = model.Run(sequence, 20);
  const auto unchanged = before.begin() + 3 * model.vocabulary_size();
  EXPECT_TRUE(std::equal(before.begin(), unchanged, after.begin()));
  const auto last = model.vocabulary_size();
  EXPECT_NE(std::vector<float>(before.end() - last, before.end()),
            std::vector<float>(after.end() - last, after.end()));
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const TestBackend& backend : TestBackends()) {
    for (Architecture architecture : {Architecture::kLlama, Architecture::kMistral,
                                      Architecture::kQwen2, Architecture::kQwen3}) {
      cases.push_back({backend, architecture});
    }
  }
  return cases;
}

std::string CaseName(const ::testing::TestParamInfo<Case>& info) {
  constexpr const char* kNames[] = {"Llama", "Mistral", "Qwen2", "Qwen3"};
  return info.param.backend.name + kNames[static_cast<size_t>(info.param.architecture)];
}

INSTANTIATE_TEST_SUITE_P(All, ModelEquivalenceTest, ::testing::ValuesIn(AllCases()), CaseName);

}  // namespace
}  // namespace banyan::worker::testing
