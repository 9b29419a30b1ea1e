#include "worker/service/field_checks.h"

#include <utility>

#include "absl/strings/str_format.h"

namespace banyan::worker {

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

bool FieldChecks::AtMost(const std::string& field, int64_t count, int64_t max, const char* what) {
  if (count <= max) return true;
  Fail(field, absl::StrFormat("too many, limit %d %s, got %d", max, what, count));
  return false;
}

bool FieldChecks::Token(const std::string& field, int index, uint32_t id, int32_t vocabulary_size) {
  if (id < static_cast<uint32_t>(vocabulary_size)) return true;
  Fail(absl::StrFormat("%s[%d]", field, index),
       absl::StrFormat("no token of the model, want [0, %d), got %u", vocabulary_size, id));
  return false;
}

}  // namespace banyan::worker
