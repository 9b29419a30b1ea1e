// A client's request as bytes: whatever they are, validation answers, names at most 16 fields and
// keeps its messages short. The first byte chooses which request the rest is.
#include <cstdint>
#include <string>

#include "common/base/check.h"
#include "common/rpc/errors.h"
#include "router/requests/request_validation.h"

namespace {

using banyan::router::ModelLimits;

void CheckAnswer(const absl::Status& status) {
  if (status.ok()) return;
  BANYAN_CHECK(banyan::rpc::ReasonOf(status).has_value()) << status.ToString();
  BANYAN_CHECK_LE(status.message().size(), banyan::rpc::kMessageBytesMax);
  const auto violations = banyan::rpc::ViolationsOf(status);
  BANYAN_CHECK_LE(violations.size(), banyan::rpc::kViolationsMax);
  for (const auto& violation : violations) BANYAN_CHECK(!violation.field.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ModelLimits limits = {.context_length = 4096, .vocabulary_size = 1000};
  const std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] % 3 == 0) {
    banyan::v1::GenerateRequest request;
    if (!request.ParseFromString(bytes)) return 0;
    CheckAnswer(banyan::router::ValidateEnvelope(request));
    CheckAnswer(banyan::router::ValidateGenerate(request, limits));
  } else if (data[0] % 3 == 1) {
    banyan::v1::TokenizeRequest request;
    if (request.ParseFromString(bytes)) CheckAnswer(banyan::router::ValidateTokenize(request));
  } else {
    banyan::v1::DetokenizeRequest request;
    if (!request.ParseFromString(bytes)) return 0;
    CheckAnswer(banyan::router::ValidateDetokenize(request, limits));
  }
  return 0;
}
