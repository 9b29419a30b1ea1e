#include "cli/progress_bar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace banyan::cli {
namespace {

// What was written to a FILE in memory.
class Sink {
 public:
  Sink() : file_(::open_memstream(&text_, &size_)) {}
  ~Sink() {
    std::fclose(file_);
    std::free(text_);
  }
  std::FILE* file() { return file_; }
  std::string text() {
    std::fflush(file_);
    return {text_, size_};
  }

 private:
  char* text_ = nullptr;
  size_t size_ = 0;
  std::FILE* file_;
};

TEST(ProgressBarTest, TwoLoadsMakeOneBarThatNeverFallsBack) {
  Sink sink;
  ProgressBar bar("loading", 2, ProgressStyle::kBar, sink.file());
  bar.Update(0, 50'000'000, 100'000'000);
  EXPECT_THAT(bar.Render(), ::testing::HasSubstr(" 25%  50.0 of 200.0 MB"));
  bar.Update(1, 50'000'000, 100'000'000);
  EXPECT_THAT(bar.Render(), ::testing::HasSubstr("loading [===============>              ]  50%"));
  bar.Update(0, 100'000'000, 100'000'000);
  bar.Update(1, 100'000'000, 100'000'000);
  EXPECT_THAT(bar.Render(), ::testing::HasSubstr("[==============================] 100%"));
}

TEST(ProgressBarTest, OffATerminalThereIsALineForEachTenthAndNoCarriageReturn) {
  Sink sink;
  ProgressBar bar("loading", 1, ProgressStyle::kLines, sink.file());
  for (int percent = 0; percent <= 100; ++percent) bar.Update(0, percent, 100);
  bar.Finish();
  bar.Update(0, 0, 100);
  const std::string text = sink.text();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 11);
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

}  // namespace
}  // namespace banyan::cli
