// A Hugging Face directory as a Checkpoint.
#include <simdjson.h>

#include <set>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/checkpoint/hf_config.h"
#include "common/checkpoint/json_reader.h"
#include "common/checkpoint/mapped_checkpoint.h"
#include "common/checkpoint/safetensors.h"

namespace banyan {
namespace {

constexpr std::string_view kWeightsFile = "model.safetensors";
constexpr std::string_view kIndexFile = "model.safetensors.index.json";
constexpr size_t kShardsMax = 1024;
constexpr std::string_view kTextFiles[] = {
    "config.json",           "generation_config.json",  "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"};

// What cannot be looked at counts as there: opening it says why.
bool Exists(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) || error;
}

// The shards that the index names, each a plain file name of this directory.
absl::StatusOr<std::set<std::string>> ReadIndex(const std::filesystem::path& path) {
  BANYAN_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path, kTextAssetBytesMax));
  simdjson::dom::parser parser;
  BANYAN_ASSIGN_OR_RETURN(const JsonObject json, JsonObject::Parse(parser, text, path.string()));
  BANYAN_ASSIGN_OR_RETURN(const std::optional<JsonObject> map, json.Object("weight_map"));
  if (!map) return json.Error("weight_map", "an object", "nothing");
  std::set<std::string> shards;
  for (const auto& [tensor, value] : map->object()) {
    std::string_view shard;
    if (value.get_string().get(shard) != simdjson::SUCCESS || shard.empty() ||
        shard.starts_with('.') || shard.find('/') != std::string_view::npos ||
        shard.find('\0') != std::string_view::npos) {
      return map->Error(tensor, "the name of a file in this directory", JsonExcerpt(value));
    }
    shards.insert(std::string(shard));
  }
  if (shards.empty() || shards.size() > kShardsMax) {
    return json.Error("weight_map", "1 to 1024 files", absl::StrFormat("%u", shards.size()));
  }
  return shards;
}

// A tensor that the index places in one file and that stands in none is caught with the
// architecture's own list.
absl::Status ReadWeights(const std::filesystem::path& directory, MappedCheckpoint::Parts& parts) {
  std::set<std::string> shards;
  if (Exists(directory / kIndexFile)) {
    BANYAN_ASSIGN_OR_RETURN(shards, ReadIndex(directory / kIndexFile));
  } else {
    shards.insert(std::string(kWeightsFile));
  }
  for (const std::string& shard : shards) {
    BANYAN_ASSIGN_OR_RETURN(std::unique_ptr<MappedFile> file, MappedFile::Open(directory / shard));
    BANYAN_RETURN_IF_ERROR(ReadSafetensors(file->bytes(), file->path(), parts.tensors));
    parts.files.push_back(std::move(file));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Checkpoint>> OpenHfDirectory(
    const std::filesystem::path& directory) {
  MappedCheckpoint::Parts parts;
  for (const std::string_view name : kTextFiles) {
    if (!Exists(directory / name)) continue;
    BANYAN_ASSIGN_OR_RETURN(std::string bytes, ReadSmallFile(directory / name, kTextAssetBytesMax));
    parts.text_assets.assets.push_back({std::string(name), std::move(bytes)});
  }
  const std::string* config = parts.text_assets.Find("config.json");
  if (config == nullptr) {
    return absl::NotFoundError(
        absl::StrFormat("%s: expected a Hugging Face directory with config.json, found none; a "
                        "GGUF model is given by its file",
                        directory.string()));
  }
  BANYAN_ASSIGN_OR_RETURN(parts.config,
                          ParseHfConfig(*config, (directory / "config.json").string()));
  parts.config.name = std::filesystem::absolute(directory).lexically_normal().filename().string();
  if (parts.config.name.empty()) {
    parts.config.name =
        std::filesystem::absolute(directory).lexically_normal().parent_path().filename().string();
  }
  if (const std::string* generation = parts.text_assets.Find("generation_config.json")) {
    BANYAN_RETURN_IF_ERROR(ParseGenerationConfig(*generation,
                                                 (directory / "generation_config.json").string(),
                                                 parts.config, parts.generation_defaults));
  }
  BANYAN_RETURN_IF_ERROR(ReadWeights(directory, parts));
  return MappedCheckpoint::Create(std::move(parts), directory.string());
}

}  // namespace banyan
