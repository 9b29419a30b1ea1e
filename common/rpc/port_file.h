// --port-file: a process tells its supervisor where it listens, as a JSON object of names and
// "host:port" texts. One line, for example {"worker":"127.0.0.1:7080","metrics":"127.0.0.1:7180"}.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace banyan::rpc {

struct PortFileEntry {
  std::string_view name;  // letters only
  std::string address;    // empty: no such port
};

// Renames the complete file into place, so that no reader ever sees half of it. An empty path
// writes nothing. INVALID_ARGUMENT names the file when it cannot be written.
absl::Status WritePortFile(const std::string& path, std::span<const PortFileEntry> entries);

// Call before ports open: what an earlier process left would send a supervisor to the wrong ones.
void RemovePortFile(const std::string& path);

}  // namespace banyan::rpc
