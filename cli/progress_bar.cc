#include "cli/progress_bar.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace banyan::cli {
namespace {

constexpr int kBarWidth = 30;
constexpr double kMegabyte = 1e6;

}  // namespace

ProgressBar::ProgressBar(std::string title, size_t num_parts, ProgressStyle style, std::FILE* out)
    : title_(std::move(title)), style_(style), out_(out), parts_(num_parts) {}

int ProgressBar::Percent() const {
  // Loads that have not said their size yet count as the largest known one, so that the bar never
  // falls back.
  int64_t done = 0;
  int64_t largest = 0;
  for (const Part& part : parts_) {
    done += part.done;
    largest = std::max(largest, part.total);
  }
  const int64_t total = largest * static_cast<int64_t>(parts_.size());
  return total == 0 ? 0 : static_cast<int>(100 * done / total);
}

std::string ProgressBar::Render() const {
  int64_t done = 0;
  int64_t largest = 0;
  for (const Part& part : parts_) {
    done += part.done;
    largest = std::max(largest, part.total);
  }
  const int filled = Percent() * kBarWidth / 100;
  std::string bar(static_cast<size_t>(filled), '=');
  if (filled < kBarWidth) bar += '>';
  bar.resize(kBarWidth, ' ');
  return absl::StrFormat(
      "%s [%s] %3d%%  %.1f of %.1f MB", title_, bar, Percent(),
      static_cast<double>(done) / kMegabyte,
      static_cast<double>(largest * static_cast<int64_t>(parts_.size())) / kMegabyte);
}

void ProgressBar::Update(size_t part, int64_t done, int64_t total) {
  if (finished_ || part >= parts_.size()) return;
  parts_[part] = {done, total};
  const int percent = Percent();
  const bool shows = style_ == ProgressStyle::kBar ? percent != shown_percent_
                                                   : percent / 10 != shown_percent_ / 10;
  if (!shows && shown_percent_ >= 0) return;
  shown_percent_ = percent;
  std::fprintf(out_, style_ == ProgressStyle::kBar ? "\r%s" : "%s\n", Render().c_str());
  std::fflush(out_);
}

void ProgressBar::Finish() {
  if (finished_) return;
  finished_ = true;
  if (style_ == ProgressStyle::kBar && shown_percent_ >= 0) std::fputc('\n', out_);
}

}  // namespace banyan::cli
