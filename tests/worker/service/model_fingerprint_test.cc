#include "worker/service/model_fingerprint.h"

#include <set>

#include "gtest/gtest.h"
#include "tests/testing/tiny_model.h"

namespace banyan::worker {
namespace {

using testing::MakeTinyCheckpoint;
using testing::TinyModelOptions;

std::string FingerprintOf(const TinyModelOptions& options) {
  return ModelFingerprint(*MakeTinyCheckpoint(options), "card", "reference-f32", "f32");
}

TEST(ModelFingerprintTest, IsThirtyTwoHexDigitsAndStable) {
  const std::string fingerprint = FingerprintOf({});
  EXPECT_EQ(fingerprint.size(), 32u);
  EXPECT_EQ(fingerprint.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(fingerprint, FingerprintOf({}));
}

TEST(ModelFingerprintTest, ChangesWithWhateverChangesTokens) {
  std::set<std::string> seen = {FingerprintOf({})};
  TinyModelOptions options;
  options.seed = 2;  // other weights, same shapes
  EXPECT_TRUE(seen.insert(FingerprintOf(options)).second);
  options = {};
  options.num_layers = 3;
  EXPECT_TRUE(seen.insert(FingerprintOf(options)).second);
  options = {};
  options.architecture = Architecture::kMistral;
  EXPECT_TRUE(seen.insert(FingerprintOf(options)).second);
  options = {};
  options.tied_embeddings = true;
  EXPECT_TRUE(seen.insert(FingerprintOf(options)).second);
  const auto checkpoint = MakeTinyCheckpoint({});
  EXPECT_TRUE(seen.insert(ModelFingerprint(*checkpoint, "other", "reference-f32", "f32")).second);
  EXPECT_TRUE(seen.insert(ModelFingerprint(*checkpoint, "card", "cpu-avx2", "f32")).second);
  EXPECT_TRUE(seen.insert(ModelFingerprint(*checkpoint, "card", "reference-f32", "bf16")).second);
}

TEST(ModelFingerprintTest, TheNameForDisplayDoesNotMatter) {
  TinyModelOptions options;
  options.name = "another";
  EXPECT_EQ(FingerprintOf(options), FingerprintOf({}));
}

}  // namespace
}  // namespace banyan::worker
