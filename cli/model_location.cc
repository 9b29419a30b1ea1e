#include "cli/model_location.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace banyan::cli {
namespace {

namespace fs = std::filesystem;

const char* Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? nullptr : value;
}

bool IsModel(const fs::path& path) {
  return fs::is_directory(path) ? fs::exists(path / "config.json") : path.extension() == ".gguf";
}

}  // namespace

fs::path ModelDirectory() {
  if (const char* dir = Environment("BANYAN_MODEL_DIR")) return dir;
  if (const char* cache = Environment("BANYAN_CACHE")) return fs::path(cache) / "models";
  if (const char* cache = Environment("XDG_CACHE_HOME")) return fs::path(cache) / "banyan/models";
  const char* home = Environment("HOME");
  return fs::path(home == nullptr ? "." : home) / ".cache/banyan/models";
}

absl::StatusOr<fs::path> LocateModel(const std::string& model) {
  std::error_code error;
  if (fs::exists(model, error)) return fs::path(model);
  if (model.find('/') != std::string::npos) {
    return absl::NotFoundError(absl::StrFormat("--model: %s: no such file or directory", model));
  }
  const fs::path directory = ModelDirectory();
  for (const fs::path& candidate : {directory / model, directory / (model + ".gguf")}) {
    if (fs::exists(candidate, error) && IsModel(candidate)) return candidate;
  }
  std::vector<std::string> names;
  const std::string wanted = absl::AsciiStrToLower(model);
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (!IsModel(it->path())) continue;
    const std::string name = it->path().filename().string();
    if (absl::AsciiStrToLower(name).starts_with(wanted)) return it->path();
    names.push_back(name);
  }
  std::ranges::sort(names);
  const std::string there =
      names.empty() ? "it holds no model" : "it holds " + absl::StrJoin(names, ", ");
  return absl::NotFoundError(absl::StrFormat(
      "--model: \"%s\" is no path and no model in %s (%s); give a .gguf file or a Hugging Face "
      "directory%s",
      model, directory.string(), there,
      model == kDefaultModel
          ? ", or run deploy/toolchain/fetch_model.py, which fetches the default model"
          : ""));
}

}  // namespace banyan::cli
