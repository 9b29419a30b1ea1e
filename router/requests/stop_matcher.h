// Finds stop strings in text that arrives in pieces, and holds back what may be the beginning of
// one. The first stop string to be complete ends the text (of two complete at the same byte, the
// longer), however the text was cut into pieces.
//
// One per sample; one thread at a time.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace banyan::router {

enum class StopInOutput { kDrop, kKeep };

class StopMatcher {
 public:
  // `stops` must outlive this; none is empty.
  StopMatcher(std::span<const std::string> stops, StopInOutput in_output)
      : stops_(stops), in_output_(in_output) {}

  // Appends `text` and returns what can be shown now. Once a stop string is complete the rest of
  // the text is dropped and matched() says which one it was. Cost: bytes x number of stop strings.
  // With kIgnore (before min_tokens) complete ones are plain text.
  enum class Matches { kHonour, kIgnore };
  std::string Push(std::string_view text, Matches matches);
  // What is still held back, at the end of the sample.
  std::string Flush();

  // Index into the stop strings.
  std::optional<size_t> matched() const { return matched_; }

 private:
  // Stop string that ends with the first `end` bytes of held_.
  std::optional<size_t> MatchAt(size_t end) const;
  // Bytes at the end of held_ that may begin a stop string.
  size_t HoldBack() const;

  const std::span<const std::string> stops_;
  const StopInOutput in_output_;
  std::string held_;
  std::optional<size_t> matched_;
};

}  // namespace banyan::router
