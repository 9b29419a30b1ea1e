// The text side of a checkpoint, as bytes by name: what a router fetches from a worker
// (GetModelCard) and builds tokenizer and chat template from. A Hugging Face directory gives
// config.json, generation_config.json, tokenizer.json, tokenizer_config.json,
// special_tokens_map.json, chat_template.jinja (those that exist); a GGUF file gives gguf-header:
// its bytes before the tensor data.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace banyan {

inline constexpr std::string_view kGgufHeaderAsset = "gguf-header";
inline constexpr size_t kTextAssetBytesMax = 64u << 20;

struct TextAsset {
  std::string name;
  std::string bytes;
};

struct TextAssets {
  std::vector<TextAsset> assets;  // sorted by name

  // Null when there is none of that name.
  const std::string* Find(std::string_view name) const {
    for (const TextAsset& asset : assets) {
      if (asset.name == name) return &asset.bytes;
    }
    return nullptr;
  }
};

}  // namespace banyan
