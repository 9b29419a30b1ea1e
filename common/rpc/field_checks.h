// Collects what is wrong with a request, field by field, in words that are the same on every port.
// Used by one thread.
//
//   FieldChecks checks;
//   checks.InRange("sampling.temperature", sampling.temperature(), 0.0f, 10.0f);
//   if (!checks.ok()) return checks.ToStatus();
//
// Each check returns whether the field passed. `field` is the path in the proto message.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/rpc/errors.h"

namespace banyan::rpc {

class FieldChecks {
 public:
  // Adds a violation; beyond kViolationsMax further ones are dropped.
  void Fail(std::string field, std::string description);

  // Whether the value is in [min, max].
  bool InRange(const std::string& field, int64_t value, int64_t min, int64_t max);
  // NaN and infinities are outside every range.
  bool InRange(const std::string& field, float value, float min, float max);
  // Whether the value is in (above, max].
  bool InRangeAbove(const std::string& field, float value, float above, float max);
  // Whether a text is at most `bytes_max` long.
  bool BytesAtMost(const std::string& field, std::string_view text, size_t bytes_max);
  // Whether a list has from min, or at most max, entries; `what` names them ("tools").
  bool CountInRange(const std::string& field, int count, int min, int max, const char* what);
  bool CountAtMost(const std::string& field, int64_t count, int64_t max, const char* what);
  // Whether all ids are below `vocabulary_size`. Fails once, at the first that is not: one is
  // enough, and there may be 10^7 of them.
  template <typename Ids>
  bool Tokens(const std::string& field, const Ids& ids, int64_t vocabulary_size) {
    for (int i = 0; i < ids.size(); ++i) {
      if (!Token(field, i, ids.Get(i), vocabulary_size)) return false;
    }
    return true;
  }
  // The same of entry `index` of a list.
  bool Token(const std::string& field, int index, uint32_t id, int64_t vocabulary_size);
  // Whether clients may name a request so (IsValidRequestId).
  bool RequestId(const std::string& field, const std::string& id);

  bool ok() const { return violations_.empty(); }
  std::span<const FieldViolation> violations() const { return violations_; }
  // OK, or INVALID_ARGUMENT (INVALID_FIELD) with all violations.
  absl::Status ToStatus() const;

 private:
  std::vector<FieldViolation> violations_;
};

// What FieldChecks says of one bad field.
absl::Status InvalidField(std::string field, std::string description);

}  // namespace banyan::rpc
