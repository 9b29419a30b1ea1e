// Tiny random models for hermetic tests: the same weights as a checkpoint in memory or as a Hugging
// Face directory on disk (config.json, generation_config.json, model.safetensors, tokenizer.json,
// tokenizer_config.json, chat_template.jinja). A seed fixes every byte. What such a model says is
// noise, but it is the same noise on every run.
//
// The tokenizer is byte-level BPE with a few merges: any text can be encoded. Ids 0, 1, 2 are
// <|endoftext|>, <|im_start|>, <|im_end|>; the last one ends a turn.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/checkpoint/checkpoint.h"

namespace banyan::testing {

struct TinyModelOptions {
  Architecture architecture = Architecture::kLlama;  // Mistral: window of 32 tokens
  uint64_t seed = 1;
  int64_t num_layers = 2;
  int64_t hidden_size = 64;
  int64_t intermediate_size = 128;
  int64_t num_heads = 4;
  int64_t num_kv_heads = 2;
  int64_t head_size = 16;
  int64_t context_length = 1024;
  bool tied_embeddings = false;
  std::string name = "tiny";
};

inline constexpr TokenId kTinyEndOfText = 0;
inline constexpr TokenId kTinyTurnStart = 1;
inline constexpr TokenId kTinyTurnEnd = 2;

// The size of the tokenizer's and the model's vocabulary.
int64_t TinyVocabularySize();

// Owns its tensors; views point into it. Text assets are those of the directory.
std::unique_ptr<Checkpoint> MakeTinyCheckpoint(const TinyModelOptions& options);

// Writes the directory, which is made if need be. Errors name the file.
absl::Status WriteTinyModel(const TinyModelOptions& options,
                            const std::filesystem::path& directory);

}  // namespace banyan::testing
