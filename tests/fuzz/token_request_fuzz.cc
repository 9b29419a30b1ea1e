// Any bytes that parse as a GenerateTokensRequest convert to a request within its limits, or fail
// with an error that names fields. Input: a serialised GenerateTokensRequest.
#include <cstddef>
#include <cstdint>

#include "banyan/v1/worker_service.pb.h"
#include "common/base/check.h"
#include "common/rpc/errors.h"
#include "worker/service/request_conversion.h"

namespace banyan::worker {
namespace {

constexpr int32_t kVocabulary = 1'000;
constexpr int32_t kContext = 512;

void CheckTokens(const std::vector<TokenId>& tokens) {
  for (const TokenId token : tokens) BANYAN_CHECK(token >= 0 && token < kVocabulary);
}

void CheckConverted(const Request& request) {
  const SamplingParams& sampling = request.sampling;
  BANYAN_CHECK(!request.id.empty() && request.id.size() <= 64);
  BANYAN_CHECK(!request.prompt.empty());
  BANYAN_CHECK_LE(request.prompt.size() + static_cast<size_t>(sampling.max_tokens),
                  static_cast<size_t>(kContext));
  CheckTokens(request.prompt);
  CheckTokens(sampling.allowed_token_ids);
  CheckTokens(sampling.stop_token_ids);
  BANYAN_CHECK(sampling.temperature >= 0 && sampling.temperature <= 10);
  BANYAN_CHECK(sampling.top_p > 0 && sampling.top_p <= 1);
  BANYAN_CHECK(sampling.top_k >= 0 && sampling.top_k <= kVocabulary);
  BANYAN_CHECK(sampling.min_p >= 0 && sampling.min_p <= 1);
  BANYAN_CHECK(sampling.repetition_penalty > 0 && sampling.repetition_penalty <= 10);
  BANYAN_CHECK(sampling.num_samples >= 1 && sampling.num_samples <= 16);
  BANYAN_CHECK(sampling.min_tokens >= 0 && sampling.min_tokens <= sampling.max_tokens);
  BANYAN_CHECK(request.resume.empty() ||
               request.resume.size() == static_cast<size_t>(sampling.num_samples));
  for (const SampleProgress& progress : request.resume) CheckTokens(progress.output);
}

}  // namespace
}  // namespace banyan::worker

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace banyan;
  v1::GenerateTokensRequest wire;
  if (!wire.ParseFromArray(data, static_cast<int>(size))) return 0;
  const worker::ConversionLimits limits = {.model_fingerprint = wire.model_fingerprint(),
                                           .context_length = worker::kContext,
                                           .vocabulary_size = worker::kVocabulary};
  const auto request = worker::ConvertRequest(wire, limits);
  if (request.ok()) {
    worker::CheckConverted(*request);
  } else {
    BANYAN_CHECK(rpc::ReasonOf(request.status()).has_value());
    BANYAN_CHECK_LE(request.status().message().size(), rpc::kMessageBytesMax);
  }
  return 0;
}
