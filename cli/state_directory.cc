#include "cli/state_directory.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <system_error>

#include "absl/strings/str_format.h"

namespace banyan::cli {
namespace {

namespace fs = std::filesystem;

}  // namespace

absl::StatusOr<fs::path> MakeStateDirectory(const std::string& wanted) {
  std::error_code error;
  if (wanted.empty()) {
    const fs::path parent = fs::temp_directory_path(error);
    std::string name = ((error ? fs::path("/tmp") : parent) / "banyan-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) return fs::path(name);
    return absl::InvalidArgumentError(absl::StrFormat(
        "--state-dir: no folder can be made as %s: %s", name, std::strerror(errno)));
  }
  fs::create_directories(wanted, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--state-dir: %s cannot be made: %s", wanted, error.message()));
  }
  if (::access(wanted.c_str(), W_OK | X_OK) != 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--state-dir: %s cannot be written: %s", wanted, std::strerror(errno)));
  }
  return fs::path(wanted);
}

absl::Status ReplaceFile(const fs::path& path, std::string_view text) {
  const std::string temporary = path.string() + ".tmp";
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file || std::rename(temporary.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(
        absl::StrFormat("%s cannot be written: %s", path.string(), std::strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace banyan::cli
