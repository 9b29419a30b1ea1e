#include "common/rpc/field_checks.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace banyan::rpc {
namespace {

// A list as protobuf has it.
struct Ids {
  std::vector<uint32_t> values;
  int size() const { return static_cast<int>(values.size()); }
  uint32_t Get(int i) const { return values[static_cast<size_t>(i)]; }
};

std::string Only(const FieldChecks& checks) {
  if (checks.violations().size() != 1) return "not one violation";
  return checks.violations()[0].field + ": " + checks.violations()[0].description;
}

TEST(FieldChecksTest, BoundsAreInsideTheRange) {
  FieldChecks checks;
  EXPECT_TRUE(checks.InRange("a", int64_t{1}, 1, 3));
  EXPECT_TRUE(checks.InRange("a", int64_t{3}, 1, 3));
  EXPECT_TRUE(checks.InRange("a", -2.0f, -2.0f, 2.0f));
  EXPECT_TRUE(checks.InRangeAbove("a", 1.0f, 0.0f, 1.0f));
  EXPECT_TRUE(checks.BytesAtMost("a", "abc", 3));
  EXPECT_TRUE(checks.CountInRange("a", 0, 0, 0, "tools"));
  EXPECT_TRUE(checks.CountAtMost("a", 64, 64, "ids"));
  EXPECT_TRUE(checks.Tokens("a", Ids{{0, 9}}, 10));
  EXPECT_TRUE(checks.RequestId("a", "job-1"));
  EXPECT_TRUE(checks.ok());
  EXPECT_TRUE(checks.ToStatus().ok());
}

TEST(FieldChecksTest, ViolationsNameFieldLimitAndValue) {
  const auto message = [](auto&& check) {
    FieldChecks checks;
    EXPECT_FALSE(check(checks));
    return Only(checks);
  };
  EXPECT_EQ(message([](FieldChecks& c) { return c.InRange("n", int64_t{4}, 1, 3); }),
            "n: out of range, want [1, 3], got 4");
  EXPECT_EQ(message([](FieldChecks& c) { return c.InRange("t", 10.5f, 0.0f, 10.0f); }),
            "t: out of range, want [0, 10], got 10.5");
  EXPECT_EQ(message([](FieldChecks& c) { return c.InRangeAbove("p", 0.0f, 0.0f, 1.0f); }),
            "p: out of range, want (0, 1], got 0");
  EXPECT_EQ(message([](FieldChecks& c) { return c.BytesAtMost("s", "secret", 5); }),
            "s: too long, limit 5 bytes, got 6");
  EXPECT_EQ(message([](FieldChecks& c) { return c.CountInRange("l", 0, 1, 8, "tools"); }),
            "l: want 1 to 8 tools, got 0");
  EXPECT_EQ(message([](FieldChecks& c) { return c.CountAtMost("l", 65, 64, "ids"); }),
            "l: too many, limit 64 ids, got 65");
  EXPECT_EQ(message([](FieldChecks& c) { return c.RequestId("id", "a b"); }),
            "id: want 1 to 64 characters of [A-Za-z0-9._:-], got \"a b\"");
}

TEST(FieldChecksTest, WhatIsNoNumberIsOutsideEveryRange) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  FieldChecks checks;
  EXPECT_FALSE(checks.InRange("t", std::nanf(""), -1.0f, 1.0f));
  EXPECT_FALSE(checks.InRange("t", kInfinity, -1.0f, 1.0f));
  EXPECT_FALSE(checks.InRangeAbove("t", std::nanf(""), 0.0f, 1.0f));
}

TEST(FieldChecksTest, TokensFailOnceAtTheFirstThatTheModelLacks) {
  FieldChecks checks;
  EXPECT_FALSE(checks.Tokens("ids", Ids{{1, 10, 4'294'967'295u}}, 10));
  EXPECT_EQ(Only(checks), "ids[1]: no token of the model, want [0, 10), got 10");
}

TEST(FieldChecksTest, KeepsABoundedNumberOfViolationsAndPutsThemIntoOneStatus) {
  FieldChecks checks;
  for (size_t i = 0; i < kViolationsMax + 5; ++i) checks.Fail("f" + std::to_string(i), "is bad");
  EXPECT_EQ(checks.violations().size(), kViolationsMax);
  const absl::Status status = checks.ToStatus();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kInvalidField);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("f0: is bad"));
  EXPECT_EQ(InvalidField("model", "empty").code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace banyan::rpc
