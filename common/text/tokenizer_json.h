// Reads a published tokenizer.json (Hugging Face tokenizers, version "1.0"). What it holds and we
// do not implement is refused with key and value, never passed over.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "common/checkpoint/json_reader.h"
#include "common/text/tokenizer_parts.h"

namespace banyan {

// INVALID_ARGUMENT with file, key, expected and found.
absl::StatusOr<TokenizerParts> ParseTokenizerJson(std::string_view json, std::string_view file);

// The parts of it: the keys normalizer, pre_tokenizer, post_processor and decoder of `root`.
absl::Status ParseNormalizer(const JsonObject& root, TokenizerParts& parts);
absl::Status ParsePreTokenizer(const JsonObject& root, TokenizerParts& parts);
absl::Status ParsePostProcessor(const JsonObject& root, TokenizerParts& parts);
absl::Status ParseDecoder(const JsonObject& root, TokenizerParts& parts);

}  // namespace banyan
