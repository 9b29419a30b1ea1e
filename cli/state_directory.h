// The folder of a running cluster: log files, port files, cluster.json. Thread-safe by being
// stateless.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace banyan::cli {

// Makes `wanted` with its parents, or, where it is empty, a new folder of its own under the
// temporary directory. INVALID_ARGUMENT names the folder and why it cannot be written.
absl::StatusOr<std::filesystem::path> MakeStateDirectory(const std::string& wanted);

// Replaces a file as a whole: a reader sees the old text or the new one. UNAVAILABLE names the
// file.
absl::Status ReplaceFile(const std::filesystem::path& path, std::string_view text);

}  // namespace banyan::cli
