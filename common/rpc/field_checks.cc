#include "common/rpc/field_checks.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "common/rpc/request_id.h"

namespace banyan::rpc {

void FieldChecks::Fail(std::string field, std::string description) {
  if (violations_.size() == kViolationsMax) return;
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

bool FieldChecks::InRangeAbove(const std::string& field, float value, float above, float max) {
  if (value > above && value <= max) return true;
  Fail(field, absl::StrFormat("out of range, want (%g, %g], got %g", above, max, value));
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

bool FieldChecks::CountAtMost(const std::string& field, int64_t count, int64_t max,
                              const char* what) {
  if (count <= max) return true;
  Fail(field, absl::StrFormat("too many, limit %d %s, got %d", max, what, count));
  return false;
}

bool FieldChecks::Token(const std::string& field, int index, uint32_t id, int64_t vocabulary_size) {
  if (int64_t{id} < vocabulary_size) return true;
  Fail(absl::StrFormat("%s[%d]", field, index),
       absl::StrFormat("no token of the model, want [0, %d), got %u", vocabulary_size, id));
  return false;
}

bool FieldChecks::RequestId(const std::string& field, const std::string& id) {
  if (IsValidRequestId(id)) return true;
  Fail(field, absl::StrFormat("want 1 to %d characters of [A-Za-z0-9._:-], got %s",
                              kRequestIdBytesMax, QuoteValue(id)));
  return false;
}

absl::Status FieldChecks::ToStatus() const {
  if (ok()) return absl::OkStatus();
  return InvalidFields(ErrorReason::kInvalidField, violations_).ToStatus();
}

absl::Status InvalidField(std::string field, std::string description) {
  FieldChecks checks;
  checks.Fail(std::move(field), std::move(description));
  return checks.ToStatus();
}

}  // namespace banyan::rpc
