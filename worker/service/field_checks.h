// Collects what is wrong with a request, field by field. One thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/base/token.h"
#include "common/rpc/errors.h"

namespace banyan::worker {

class FieldChecks {
 public:
  // Adds a violation; beyond rpc::kViolationsMax further ones are dropped.
  void Fail(std::string field, std::string description);

  bool InRange(const std::string& field, int64_t value, int64_t min, int64_t max);
  // NaN and infinities are outside every range.
  bool InRange(const std::string& field, float value, float min, float max);
  bool AtMost(const std::string& field, int64_t count, int64_t max, const char* what);
  // Appends the ids to `out`; fails once, at the first that is not below `vocabulary_size`.
  template <typename Ids>
  bool Tokens(const std::string& field, const Ids& ids, int32_t vocabulary_size,
              std::vector<TokenId>& out) {
    out.reserve(out.size() + static_cast<size_t>(ids.size()));
    for (int i = 0; i < ids.size(); ++i) {
      if (!Token(field, i, ids.Get(i), vocabulary_size)) return false;
      out.push_back(static_cast<TokenId>(ids.Get(i)));
    }
    return true;
  }
  bool Token(const std::string& field, int index, uint32_t id, int32_t vocabulary_size);

  bool ok() const { return violations_.empty(); }
  std::span<const rpc::FieldViolation> violations() const { return violations_; }

 private:
  std::vector<rpc::FieldViolation> violations_;
};

}  // namespace banyan::worker
