#include "cli/child_log.h"

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"

namespace banyan::cli {

std::string ChildLogLine::Text(std::string_view field) const {
  const auto it = fields.find(field);
  return it == fields.end() ? std::string() : it->second;
}

int64_t ChildLogLine::Integer(std::string_view field) const {
  int64_t value = 0;
  return absl::SimpleAtoi(Text(field), &value) ? value : 0;
}

std::optional<ChildLogLine> ParseChildLogLine(std::string_view line) {
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("event") || !json["event"].is_string())
    return std::nullopt;
  ChildLogLine parsed;
  for (const auto& [key, value] : json.items()) {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (key == "event") {
      parsed.event = text;
    } else if (key == "level") {
      parsed.level = text;
    } else if (key != "time") {
      parsed.fields[key] = text;
    }
  }
  return parsed;
}

}  // namespace banyan::cli
