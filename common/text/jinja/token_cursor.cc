#include "common/text/jinja/token_cursor.h"

#include "common/text/jinja/value.h"

namespace banyan::jinja {

absl::Status TokenCursor::Fail(std::string_view cause) const {
  return Error("line %d: %s", line(), cause);
}

absl::Status TokenCursor::Expect(TokenType type) {
  if (Skip(type)) return absl::OkStatus();
  return Fail(absl::StrFormat("expected %s, got %s", DescribeToken({type, 0, "name"}),
                              DescribeToken(current())));
}

absl::Status TokenCursor::ExpectOperator(std::string_view op) {
  if (SkipOperator(op)) return absl::OkStatus();
  return Fail(absl::StrFormat("expected '%s', got %s", op, DescribeToken(current())));
}

absl::Status TokenCursor::ExpectName(std::string_view name) {
  if (SkipName(name)) return absl::OkStatus();
  return Fail(absl::StrFormat("expected '%s', got %s", name, DescribeToken(current())));
}

}  // namespace banyan::jinja
