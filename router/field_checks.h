// Collects what is wrong with a client's request, field by field. One thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/rpc/errors.h"

namespace banyan::router {

class FieldChecks {
 public:
  // Adds a violation; beyond rpc::kViolationsMax further ones are dropped.
  void Fail(std::string field, std::string description);

  // Whether the value is in [min, max].
  bool InRange(const std::string& field, int64_t value, int64_t min, int64_t max);
  // NaN and infinities are outside every range.
  bool InRange(const std::string& field, float value, float min, float max);
  // Whether a text is at most `bytes_max` long.
  bool BytesAtMost(const std::string& field, std::string_view text, size_t bytes_max);
  bool CountInRange(const std::string& field, int count, int min, int max, const char* what);

  bool ok() const { return violations_.empty(); }
  std::span<const rpc::FieldViolation> violations() const { return violations_; }

 private:
  std::vector<rpc::FieldViolation> violations_;
};

}  // namespace banyan::router
