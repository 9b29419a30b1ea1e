#include "common/rpc/port_file.h"

#include <cstdio>
#include <fstream>

#include "absl/strings/str_format.h"

namespace banyan::rpc {

absl::Status WritePortFile(const std::string& path, std::span<const PortFileEntry> entries) {
  if (path.empty()) return absl::OkStatus();
  std::string json = "{";
  for (const PortFileEntry& entry : entries) {
    if (json.size() > 1) json += ',';
    json += absl::StrFormat("\"%s\":\"%s\"", entry.name, entry.address);
  }
  const std::string temporary = path + ".tmp";
  std::ofstream file(temporary, std::ios::trunc);
  file << json << "}\n";
  file.close();
  if (!file || std::rename(temporary.c_str(), path.c_str()) != 0) {
    return absl::InvalidArgumentError(absl::StrFormat("--port-file: cannot write %s", path));
  }
  return absl::OkStatus();
}

void RemovePortFile(const std::string& path) {
  if (!path.empty()) std::remove(path.c_str());
}

}  // namespace banyan::rpc
