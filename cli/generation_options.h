// The flags that `generate`, `chat` and `explain` share: where the router is, which model, how to
// sample.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "banyan/v1/inference_service.pb.h"
#include "common/rpc/option_table.h"

namespace banyan::cli {

inline constexpr char kDefaultAddress[] = "127.0.0.1:7070";
inline constexpr char kDefaultAdminAddress[] = "127.0.0.1:7072";

struct ClientOptions {
  std::string address = kDefaultAddress;
  std::string model;
  int64_t timeout_s = 600;

  void AddTo(rpc::OptionTable& table);
};

struct GenerationOptions {
  std::optional<int64_t> max_tokens;
  // Absent flags leave the model's own defaults in force; text, because "absent" and 0 differ.
  std::string temperature;
  std::string top_p;
  std::string min_p;
  std::optional<int64_t> top_k;
  std::optional<int64_t> seed;
  std::optional<int64_t> num_samples;
  std::optional<int64_t> num_logprobs;
  std::optional<int64_t> min_tokens;
  std::optional<int64_t> num_prompt_logprobs;
  std::optional<int64_t> truncate_prompt_tokens;
  std::string presence_penalty;
  std::string frequency_penalty;
  std::string repetition_penalty;
  std::vector<std::string> logit_bias;  // "ID=BIAS"
  std::vector<std::string> stop_token_ids;
  std::vector<std::string> stop;
  std::string priority = "interactive";
  std::string session_id;
  bool ignore_eos = false;
  bool include_stop = false;
  bool keep_special_tokens = false;
  bool json = false;

  void AddTo(rpc::OptionTable& table);
  // Fills everything but the prompt. INVALID_ARGUMENT names the flag; ranges are the router's to
  // check.
  absl::Status Apply(v1::GenerateRequest& request) const;

 private:
  absl::Status ApplyReals(v1::SamplingParams& sampling) const;
};

}  // namespace banyan::cli
