// Megabytes of text encoded per second of thread CPU time, one thread, and the time to load.
//
//   tokenizer_bench TOKENIZER_JSON TEXT_FILE
//
// Prints one JSON line; tests/bench/tokenizer_compare.py runs it beside Hugging Face tokenizers.
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>

#include "common/text/tokenizer.h"

namespace {

constexpr int kNumRuns = 9;

double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::string ReadFile(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s TOKENIZER_JSON TEXT_FILE\n", argv[0]);
    return 2;
  }
  const banyan::TextAssets assets{{{"tokenizer.json", ReadFile(argv[1])}}};
  const std::string text = ReadFile(argv[2]);
  const double load_begin = ThreadSeconds();
  const auto tokenizer = banyan::Tokenizer::Load(assets);
  const double load_seconds = ThreadSeconds() - load_begin;
  if (!tokenizer.ok() || text.empty()) {
    std::fprintf(stderr, "tokenizer_bench: %s\n",
                 std::string(tokenizer.status().message()).c_str());
    return 1;
  }
  double best = 1e9;
  double first = 0;
  size_t num_tokens = 0;
  for (int run = 0; run < kNumRuns; ++run) {
    const double begin = ThreadSeconds();
    const auto ids = (*tokenizer)->Encode(text, banyan::AddSpecialTokens::kNo);
    const double seconds = ThreadSeconds() - begin;
    if (!ids.ok()) {
      std::fprintf(stderr, "tokenizer_bench: %s\n", std::string(ids.status().message()).c_str());
      return 1;
    }
    num_tokens = ids->size();
    if (run == 0) first = seconds;
    if (seconds < best) best = seconds;
  }
  const double megabytes = static_cast<double>(text.size()) / 1e6;
  std::printf(
      "{\"mb_per_s\": %.2f, \"first_mb_per_s\": %.2f, \"load_ms\": %.1f, \"tokens\": %zu}\n",
      megabytes / best, megabytes / first, load_seconds * 1e3, num_tokens);
  return 0;
}
