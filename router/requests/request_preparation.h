// From a client's request to the worker's: template, tokens, defaults, seed, salt, block hashes.
// Pure but for the seed; runs on a WorkPool thread. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "banyan/v1/inference_service.pb.h"
#include "banyan/v1/worker_service.pb.h"
#include "common/base/block_hash.h"
#include "common/text/text_model.h"
#include "router/requests/output_assembler.h"
#include "router/requests/request_validation.h"

namespace banyan::router {

// What preparation needs to know of a model.
struct PreparationModel {
  const TextModel& text;
  ModelLimits limits;
  uint32_t block_size = 16;
  bool hashes_known = true;  // false: workers hash blocks in a way that we do not know
  std::string_view fingerprint = {};
  std::string_view cluster_secret = {};  // empty: no salts
};

struct PreparedRequest {
  // Complete but for what one dispatch decides: fingerprint, router id, dispatch sequence.
  v1::GenerateTokensRequest worker_request;
  OutputOptions output;
  std::vector<BlockHash> blocks;  // full blocks of the prompt; empty where no cache can help
  std::string prompt_text;
  uint64_t session_hash = 0;
};

struct TokenizedPrompt {
  std::vector<TokenId> tokens;
  std::string text;  // after templating
};

absl::StatusOr<TokenizedPrompt> TokenizeText(const TextModel& model, const std::string& text,
                                             bool omit_special_tokens);
// INVALID_ARGUMENT with CHAT_TEMPLATE_FAILED where the template refuses the conversation or the
// model has none.
absl::StatusOr<TokenizedPrompt> TokenizeChat(const TextModel& model, const v1::ChatPrompt& chat);

// `request` passed ValidateGenerate and has a request_id.
absl::StatusOr<PreparedRequest> Prepare(const v1::GenerateRequest& request,
                                        const PreparationModel& model);

}  // namespace banyan::router
