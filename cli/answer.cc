#include "cli/answer.h"

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "common/base/clock.h"
#include "common/rpc/errors.h"
#include "grpcpp/client_context.h"

namespace banyan::cli {
namespace {

using Json = nlohmann::ordered_json;

const char* FinishName(v1::FinishReason reason) {
  switch (reason) {
    case v1::FINISH_REASON_STOP:
      return "stop";
    case v1::FINISH_REASON_LENGTH:
      return "length";
    case v1::FINISH_REASON_TOOL_CALLS:
      return "tool_calls";
    default:
      return "";
  }
}

// Bytes of a token need not be UTF-8; JSON text must be.
std::string Printable(const std::string& bytes) {
  return Json(bytes).dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json LogprobsJson(const v1::TokenLogprobs& logprobs) {
  Json rows = Json::array();
  const int num_top = static_cast<int>(logprobs.num_top());
  for (int i = 0; i < logprobs.token_ids_size(); ++i) {
    Json row = {{"token_id", logprobs.token_ids(i)}, {"logprob", logprobs.logprobs(i)}};
    if (i < logprobs.token_bytes_size()) {
      row["token"] = Json::parse(Printable(logprobs.token_bytes(i)));
    }
    Json top = Json::array();
    for (int j = i * num_top; j < (i + 1) * num_top && j < logprobs.top_token_ids_size(); ++j) {
      Json entry = {{"token_id", logprobs.top_token_ids(j)}, {"logprob", logprobs.top_logprobs(j)}};
      if (j < logprobs.top_token_bytes_size()) {
        entry["token"] = Json::parse(Printable(logprobs.top_token_bytes(j)));
      }
      top.push_back(std::move(entry));
    }
    if (num_top > 0) row["top"] = std::move(top);
    rows.push_back(std::move(row));
  }
  return rows;
}

void Append(v1::TokenLogprobs& all, const v1::TokenLogprobs& more) {
  const uint32_t num_top = more.num_top();
  all.MergeFrom(more);
  all.set_num_top(num_top);
}

double MillisecondsSince(TimePoint start) { return ToSeconds(Clock::Real().Now() - start) * 1e3; }

}  // namespace

void Answer::Add(const v1::GenerateResponse& response) {
  if (response.has_start()) start = response.start();
  if (response.has_usage()) usage = response.usage();
  if (response.has_timing()) timing = response.timing();
  if (response.has_routing()) {
    routing.push_back(response.routing());
    worker_id = response.routing().worker_id();
  }
  for (const v1::SampleDelta& delta : response.samples()) {
    if (delta.index() >= samples.size()) samples.resize(delta.index() + 1);
    AnswerSample& sample = samples[delta.index()];
    sample.text += delta.text();
    sample.token_ids.insert(sample.token_ids.end(), delta.token_ids().begin(),
                            delta.token_ids().end());
    if (delta.has_logprobs()) Append(sample.logprobs, delta.logprobs());
    if (delta.finish_reason() != v1::FINISH_REASON_UNSPECIFIED) {
      sample.finish_reason = delta.finish_reason();
      sample.stop_string = delta.stop_string();
    }
    sample.num_output_tokens = delta.num_output_tokens();
  }
}

std::string Answer::ToJson() const {
  Json out = {{"request_id", start.request_id()},
              {"model", start.model()},
              {"model_fingerprint", start.model_fingerprint()},
              {"seed", start.seed()},
              {"worker_id", worker_id}};
  Json list = Json::array();
  for (const AnswerSample& sample : samples) {
    Json item = {{"text", sample.text},
                 {"token_ids", sample.token_ids},
                 {"num_output_tokens", sample.num_output_tokens},
                 {"finish_reason", FinishName(sample.finish_reason)}};
    if (!sample.stop_string.empty()) item["stop_string"] = sample.stop_string;
    if (sample.logprobs.token_ids_size() > 0) item["logprobs"] = LogprobsJson(sample.logprobs);
    list.push_back(std::move(item));
  }
  out["samples"] = std::move(list);
  if (start.prompt_logprobs().token_ids_size() > 0) {
    out["prompt_logprobs"] = LogprobsJson(start.prompt_logprobs());
  }
  out["usage"] = {{"prompt_tokens", usage.prompt_tokens()},
                  {"cached_tokens", usage.cached_tokens()},
                  {"completion_tokens", usage.completion_tokens()}};
  out["timing_ms"] = {{"queue", static_cast<double>(timing.queue_us()) / 1e3},
                      {"prefill", static_cast<double>(timing.prefill_us()) / 1e3},
                      {"decode", static_cast<double>(timing.decode_us()) / 1e3},
                      {"client_ttft", ttft_ms},
                      {"client_total", total_ms}};
  out["num_preemptions"] = timing.num_preemptions();
  out["num_moves"] = timing.num_moves();
  Json decisions = Json::array();
  for (const v1::RoutingDecision& decision : routing) {
    decisions.push_back(
        {{"worker_id", decision.worker_id()},
         {"reason", v1::RoutingReason_Name(decision.reason())},
         {"expected_cached_tokens", decision.expected_cached_tokens()},
         {"expected_ttft_ms", static_cast<double>(decision.expected_ttft_us()) / 1e3}});
  }
  out["routing"] = std::move(decisions);
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::Status Stream(v1::InferenceService::Stub& stub, const v1::GenerateRequest& request,
                    int64_t timeout_s, StreamTo to, Answer& answer) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(timeout_s));
  const bool live = to == StreamTo::kStdout && request.sampling().num_samples() <= 1;
  const TimePoint start = Clock::Real().Now();
  const auto reader = stub.Generate(&context, request);
  v1::GenerateResponse response;
  bool first = true;
  while (reader->Read(&response)) {
    if (first) {
      answer.ttft_ms = MillisecondsSince(start);
      const auto& metadata = context.GetServerInitialMetadata();
      const auto worker = metadata.find("banyan-worker-id");
      if (worker != metadata.end()) {
        answer.worker_id.assign(worker->second.data(), worker->second.size());
      }
      first = false;
    }
    answer.Add(response);
    if (!live) continue;
    for (const v1::SampleDelta& delta : response.samples()) {
      std::fwrite(delta.text().data(), 1, delta.text().size(), stdout);
    }
    std::fflush(stdout);
  }
  const grpc::Status status = reader->Finish();
  answer.total_ms = MillisecondsSince(start);
  if (to == StreamTo::kStdout && !live) {
    for (size_t i = 0; i < answer.samples.size(); ++i) {
      std::printf("--- %zu\n%s\n", i, answer.samples[i].text.c_str());
    }
  }
  return rpc::FromGrpcStatus(status);
}

}  // namespace banyan::cli
