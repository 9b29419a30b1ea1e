// Writes a tiny random model as a Hugging Face directory, for integration tests.
//
//   make_tiny_model DIR [--arch llama|mistral|qwen2|qwen3] [--seed N] [--layers N] [--hidden N]
//                       [--context N] [--tied 0|1]
#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "tests/testing/tiny_model.h"

namespace banyan::testing {
namespace {

constexpr char kUsage[] =
    "usage: make_tiny_model DIR [--arch llama|mistral|qwen2|qwen3] [--seed N] [--layers N] "
    "[--hidden N] [--context N] [--tied 0|1]\n";

std::optional<int64_t> ParseNumber(std::string_view text, int64_t low, int64_t high) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value < low || value > high) return std::nullopt;
  return value;
}

bool SetArchitecture(std::string_view name, TinyModelOptions& options) {
  if (name == "llama") {
    options.architecture = Architecture::kLlama;
  } else if (name == "mistral") {
    options.architecture = Architecture::kMistral;
  } else if (name == "qwen2") {
    options.architecture = Architecture::kQwen2;
  } else if (name == "qwen3") {
    options.architecture = Architecture::kQwen3;
  } else {
    return false;
  }
  return true;
}

// False when `name` is unknown or `value` is out of range.
bool SetOption(std::string_view name, std::string_view value, TinyModelOptions& options) {
  if (name == "--arch") return SetArchitecture(value, options);
  const auto set = [&](int64_t low, int64_t high, auto& target) {
    const std::optional<int64_t> number = ParseNumber(value, low, high);
    if (!number.has_value()) return false;
    target = static_cast<std::remove_reference_t<decltype(target)>>(*number);
    return true;
  };
  if (name == "--seed") return set(0, INT64_MAX, options.seed);
  if (name == "--layers") return set(1, 64, options.num_layers);
  if (name == "--hidden") return set(1, 4096, options.hidden_size);
  if (name == "--context") return set(1, 1 << 20, options.context_length);
  if (name == "--tied") return set(0, 1, options.tied_embeddings);
  return false;
}

int Main(int argc, char** argv) {
  if (argc < 2 || argc % 2 != 0) {
    absl::FPrintF(stderr, "%s", kUsage);
    return 2;
  }
  TinyModelOptions options;
  for (int i = 2; i + 1 < argc; i += 2) {
    if (!SetOption(argv[i], argv[i + 1], options)) {
      absl::FPrintF(stderr, "make_tiny_model: cannot use %s %s\n%s", argv[i], argv[i + 1], kUsage);
      return 2;
    }
  }
  const absl::Status status = WriteTinyModel(options, argv[1]);
  if (!status.ok()) {
    absl::FPrintF(stderr, "make_tiny_model: %s\n", status.ToString());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace banyan::testing

int main(int argc, char** argv) { return banyan::testing::Main(argc, argv); }
