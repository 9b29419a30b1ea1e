// Progress of several loads as one bar on a terminal, or as a plain line per tenth elsewhere. Used
// by one thread.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace banyan::cli {

enum class ProgressStyle { kBar, kLines };

class ProgressBar {
 public:
  // `num_parts` loads run beside each other; `out` is usually stderr.
  ProgressBar(std::string title, size_t num_parts, ProgressStyle style, std::FILE* out);

  // The state of one load, bytes. Draws when it shows.
  void Update(size_t part, int64_t done, int64_t total);
  // Ends the line, once; nothing is drawn afterwards.
  void Finish();

  // "loading [=====>    ]  52%  51.0 of 98.4 MB"
  std::string Render() const;

 private:
  struct Part {
    int64_t done = 0;
    int64_t total = 0;
  };
  int Percent() const;

  const std::string title_;
  const ProgressStyle style_;
  std::FILE* const out_;
  std::vector<Part> parts_;
  int shown_percent_ = -1;
  bool finished_ = false;
};

}  // namespace banyan::cli
