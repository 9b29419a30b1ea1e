#include "router/requests/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace banyan::router {
namespace {

using Matches = StopMatcher::Matches;

TEST(StopMatcherTest, HoldsBackOnlyWhatMayBeginAStop) {
  const std::vector<std::string> stops = {"END", "##"};
  StopMatcher matcher(stops, StopInOutput::kDrop);
  EXPECT_EQ(matcher.Push("abE", Matches::kHonour), "ab");
  EXPECT_EQ(matcher.Push("N", Matches::kHonour), "");
  EXPECT_EQ(matcher.Push("x#", Matches::kHonour), "ENx");
  EXPECT_EQ(matcher.Flush(), "#");
  EXPECT_FALSE(matcher.matched().has_value());
}

TEST(StopMatcherTest, TheFirstStopToBeCompleteWins) {
  const std::vector<std::string> stops = {"bcde", "cd"};
  StopMatcher matcher(stops, StopInOutput::kDrop);
  EXPECT_EQ(matcher.Push("abcdef", Matches::kHonour), "ab");
  EXPECT_EQ(matcher.matched(), 1u);
  EXPECT_EQ(matcher.Push("more", Matches::kHonour), "");
}

TEST(StopMatcherTest, OfTwoThatEndTogetherTheLongerWins) {
  const std::vector<std::string> stops = {"d", "bcd"};
  StopMatcher matcher(stops, StopInOutput::kDrop);
  EXPECT_EQ(matcher.Push("abcd", Matches::kHonour), "a");
  EXPECT_EQ(matcher.matched(), 1u);
}

TEST(StopMatcherTest, KeepsTheStopWhereAsked) {
  const std::vector<std::string> stops = {"END"};
  StopMatcher matcher(stops, StopInOutput::kKeep);
  std::string shown = matcher.Push("aEN", Matches::kHonour);
  shown += matcher.Push("Dz", Matches::kHonour);
  EXPECT_EQ(shown, "aEND");
}

TEST(StopMatcherTest, BeforeMinTokensACompleteStopIsText) {
  const std::vector<std::string> stops = {"END"};
  StopMatcher matcher(stops, StopInOutput::kDrop);
  std::string shown = matcher.Push("aENDb", Matches::kIgnore);
  EXPECT_FALSE(matcher.matched().has_value());
  shown += matcher.Push("cEND", Matches::kHonour);
  EXPECT_EQ(shown, "aENDbc");
  EXPECT_TRUE(matcher.matched().has_value());
}

// However a text is cut, the result is that of the uncut text.
TEST(StopMatcherTest, TheCutsOfTheTextDoNotMatter) {
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> stops(1 + random() % 3);
    for (std::string& stop : stops) {
      for (size_t n = 1 + random() % 4; n > 0; --n) stop += static_cast<char>('a' + random() % 2);
    }
    std::string text;
    for (size_t n = random() % 20; n > 0; --n) text += static_cast<char>('a' + random() % 3);
    StopMatcher whole(stops, StopInOutput::kDrop);
    std::string expected = whole.Push(text, Matches::kHonour);
    expected += whole.Flush();
    StopMatcher cut(stops, StopInOutput::kDrop);
    std::string shown;
    for (size_t at = 0; at < text.size();) {
      const size_t bytes = std::min<size_t>(1 + random() % 3, text.size() - at);
      shown += cut.Push(text.substr(at, bytes), Matches::kHonour);
      at += bytes;
    }
    shown += cut.Flush();
    ASSERT_EQ(shown, expected) << text;
    ASSERT_EQ(cut.matched(), whole.matched());
  }
}

}  // namespace
}  // namespace banyan::router
