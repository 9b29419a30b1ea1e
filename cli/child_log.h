// One line that a child process logged, as JSON (common/base/log.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace banyan::cli {

struct ChildLogLine {
  std::string level;  // "info", "warning", ...
  std::string event;
  std::map<std::string, std::string, std::less<>> fields;  // numbers as their digits

  std::string Text(std::string_view field) const;  // empty: absent
  int64_t Integer(std::string_view field) const;   // 0: absent or no integer
};

// Absent for lines that are no such JSON object.
std::optional<ChildLogLine> ParseChildLogLine(std::string_view line);

}  // namespace banyan::cli
