// Reads the tokenizer of a GGUF file's metadata (keys tokenizer.ggml.*; ggml-org's specification).
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "common/checkpoint/gguf_header.h"
#include "common/text/tokenizer_parts.h"

namespace banyan {

// Models gpt2 (byte-level BPE with tokenizer.ggml.pre) and llama (SentencePiece BPE by scores).
// INVALID_ARGUMENT with file, key, expected and found.
absl::StatusOr<TokenizerParts> ParseTokenizerGguf(const GgufHeader& header, std::string_view file);

}  // namespace banyan
