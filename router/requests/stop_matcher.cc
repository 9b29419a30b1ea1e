#include "router/requests/stop_matcher.h"

#include <algorithm>

namespace banyan::router {

std::string StopMatcher::Push(std::string_view text, Matches matches) {
  if (matched_.has_value()) return {};
  if (stops_.empty()) return std::string(text);
  const size_t first_new = held_.size();
  held_.append(text);
  for (size_t end = first_new + 1; matches == Matches::kHonour && end <= held_.size(); ++end) {
    matched_ = MatchAt(end);
    if (!matched_.has_value()) continue;
    const size_t dropped = in_output_ == StopInOutput::kDrop ? stops_[*matched_].size() : 0;
    std::string shown = held_.substr(0, end - dropped);
    held_.clear();
    return shown;
  }
  const size_t shown_bytes = held_.size() - HoldBack();
  std::string shown = held_.substr(0, shown_bytes);
  held_.erase(0, shown_bytes);
  return shown;
}

std::string StopMatcher::Flush() {
  std::string shown;
  shown.swap(held_);
  return shown;
}

std::optional<size_t> StopMatcher::MatchAt(size_t end) const {
  const std::string_view seen = std::string_view(held_).substr(0, end);
  std::optional<size_t> longest;
  for (size_t i = 0; i < stops_.size(); ++i) {
    if (!seen.ends_with(stops_[i])) continue;
    if (!longest.has_value() || stops_[i].size() > stops_[*longest].size()) longest = i;
  }
  return longest;
}

size_t StopMatcher::HoldBack() const {
  const std::string_view seen(held_);
  size_t longest = 0;
  for (const std::string& stop : stops_) {
    const size_t bytes_max = std::min(stop.size() - 1, seen.size());
    for (size_t bytes = bytes_max; bytes > longest; --bytes) {
      if (seen.ends_with(std::string_view(stop).substr(0, bytes))) longest = bytes;
    }
  }
  return longest;
}

}  // namespace banyan::router
