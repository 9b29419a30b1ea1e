// The prompts of tests/golden/smollm2 with what Hugging Face Transformers makes of them in float32.
#pragma once

#include <simdjson.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/token.h"
#include "tests/testing/paths.h"

namespace banyan::worker::testing {

inline std::filesystem::path SmolLm2GoldenPath(const std::string& name) {
  return banyan::testing::GoldenDir() / "smollm2" / name;
}

struct SmolLm2Prompt {
  std::string name;
  std::vector<TokenId> ids;
  std::vector<float> prompt_logprobs;  // of ids[1] ...
  std::vector<TokenId> greedy;
  std::vector<float> greedy_logprobs;
};

template <typename Out, typename In>
std::vector<Out> ReadNumbers(simdjson::dom::element array) {
  std::vector<Out> values;
  for (simdjson::dom::element value : array.get_array()) {
    values.push_back(static_cast<Out>(static_cast<In>(value)));
  }
  return values;
}

inline std::vector<SmolLm2Prompt> ReadSmolLm2Prompts() {
  std::vector<SmolLm2Prompt> prompts;
  simdjson::dom::parser parser;
  for (simdjson::dom::element line :
       parser.load_many(SmolLm2GoldenPath("prompts.jsonl").string())) {
    prompts.push_back({.name = std::string(std::string_view(line["name"])),
                       .ids = ReadNumbers<TokenId, int64_t>(line["ids"]),
                       .prompt_logprobs = ReadNumbers<float, double>(line["prompt_token_logprobs"]),
                       .greedy = ReadNumbers<TokenId, int64_t>(line["greedy"]["ids"]),
                       .greedy_logprobs = ReadNumbers<float, double>(line["greedy"]["logprobs"])});
  }
  return prompts;
}

}  // namespace banyan::worker::testing
