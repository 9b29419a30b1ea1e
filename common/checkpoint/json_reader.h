// Typed reading of JSON objects with errors that name file, key, expected and found. Used by one
// thread.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace banyan {

// An object of a parsed document. The parser that made it must outlive it and not parse anew.
class JsonObject {
 public:
  JsonObject(simdjson::dom::object object, std::string file, std::string path = "")
      : object_(object), file_(std::move(file)), path_(std::move(path)) {}

  // The whole document, which must be an object. At most 64 MiB and 64 levels deep.
  // INVALID_ARGUMENT with the file.
  static absl::StatusOr<JsonObject> Parse(simdjson::dom::parser& parser, std::string_view text,
                                          std::string_view file);

  const simdjson::dom::object& object() const { return object_; }
  const std::string& file() const { return file_; }

  // Absent: no such key, or null.
  std::optional<simdjson::dom::element> Find(std::string_view key) const;
  absl::StatusOr<std::optional<int64_t>> Integer(std::string_view key) const;
  absl::StatusOr<std::optional<double>> Real(std::string_view key) const;
  absl::StatusOr<std::optional<bool>> Bool(std::string_view key) const;
  absl::StatusOr<std::optional<std::string_view>> String(std::string_view key) const;
  absl::StatusOr<std::optional<JsonObject>> Object(std::string_view key) const;

  // INVALID_ARGUMENT "FILE: KEY: expected EXPECTED, found FOUND".
  absl::Status Error(std::string_view key, std::string_view expected, std::string_view found) const;

 private:
  absl::Status TypeError(std::string_view key, std::string_view expected,
                         simdjson::dom::element found) const;

  simdjson::dom::object object_;
  std::string file_;
  std::string path_;  // "rope_scaling." inside that object
};

// At most 64 characters of an element's JSON text, for messages.
std::string JsonExcerpt(simdjson::dom::element element);

}  // namespace banyan
