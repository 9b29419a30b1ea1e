#include "router/field_checks.h"

#include "absl/strings/str_format.h"

namespace banyan::router {

void FieldChecks::Fail(std::string field, std::string description) {
  if (violations_.size() == rpc::kViolationsMax) return;
  violations_.push_back({std::move(field), std::move(description)});
}

bool FieldChecks::InRange(const std::string& field, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return true;
  Fail(field, absl::StrFormat("out of range, want [%d, %d], got %d", min, max, value));
  return false;
}

bool FieldChecks::InRange(const std::string& field, float value, float min, float max) {
  if (value >= min && value <= max) return true;
  Fail(field, absl::StrFormat("out of range, want [%g, %g], got %g", min, max, value));
  return false;
}

bool FieldChecks::BytesAtMost(const std::string& field, std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return true;
  Fail(field, absl::StrFormat("too long, limit %d bytes, got %d", bytes_max, text.size()));
  return false;
}

bool FieldChecks::CountInRange(const std::string& field, int count, int min, int max,
                               const char* what) {
  if (count >= min && count <= max) return true;
  Fail(field, absl::StrFormat("want %d to %d %s, got %d", min, max, what, count));
  return false;
}

}  // namespace banyan::router
