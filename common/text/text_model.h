// Everything a router needs to know of a model's text side, built from its card: tokenizer, chat
// template, end tokens and sampling defaults. Immutable and thread-safe.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "common/checkpoint/model_config.h"
#include "common/checkpoint/text_assets.h"
#include "common/text/chat_template.h"
#include "common/text/tokenizer.h"

namespace banyan {

struct TextModel {
  std::unique_ptr<const Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat_template;
  GenerationDefaults generation_defaults;

  // Errors name asset and key.
  static absl::StatusOr<std::unique_ptr<const TextModel>> Load(const TextAssets& assets);
};

}  // namespace banyan
