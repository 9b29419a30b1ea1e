#include "common/base/check.h"

#include <gtest/gtest.h>

namespace banyan {
namespace {

TEST(CheckDeathTest, FailedCheckPrintsPlaceConditionAndMessageAndAborts) {
  const int blocks = 3;
  EXPECT_DEATH(BANYAN_CHECK_EQ(blocks, 4) << "after free",
               "check_test.cc:[0-9]+: check failed: \\(blocks\\)==\\(4\\) 3 vs. 4 after free");
}

TEST(CheckTest, PassingCheckEvaluatesItsMessageNever) {
  int evaluated = 0;
  BANYAN_CHECK(true) << ++evaluated;
  EXPECT_EQ(evaluated, 0);
}

}  // namespace
}  // namespace banyan
