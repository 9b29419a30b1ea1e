#include "tests/router/fake_worker.h"

#include <grpcpp/server_builder.h>

#include <algorithm>
#include <utility>

#include "common/base/block_hash.h"
#include "common/base/check.h"
#include "common/rpc/digest.h"
#include "tests/router/fake_text.h"

namespace banyan::router {
namespace {

using std::chrono::milliseconds;

constexpr int kPromptLogprob = -1;
constexpr milliseconds kTick(2);

std::string DigestOf(const std::string& seed) {
  rpc::Sha256 sha256;
  sha256.UpdateField("tokenizer.json").UpdateField(rpc::Sha256Of(seed));
  return sha256.FinishHex();
}

}  // namespace

void FakeWorker::StartServer(uint16_t port) {
  grpc::ServerBuilder builder;
  int chosen = 0;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                           &chosen);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // The router pings idle connections more often than gRPC likes by default.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1000);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  BANYAN_CHECK(server_ != nullptr) << "no port";
  address_ = "127.0.0.1:" + std::to_string(chosen);
}

void FakeWorker::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_ = nullptr;
}

void FakeWorker::Restart() {
  Stop();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = false;
    chains_.clear();
  }
  ++epoch_;
  cache_sequence_ = 0;
  dispatch_seen_ = 0;
  StartServer(static_cast<uint16_t>(std::stoi(address_.substr(address_.find(':') + 1))));
}

void FakeWorker::SetScript(Script script) {
  const std::lock_guard lock(mutex_);
  script_ = std::move(script);
  released_ = false;
}

void FakeWorker::Release() {
  const std::lock_guard lock(mutex_);
  released_ = true;
  changed_.notify_all();
}

void FakeWorker::StoreChain(const std::string& hashes) {
  const std::lock_guard lock(mutex_);
  chains_.push_back(hashes);
}

std::vector<v1::GenerateTokensRequest> FakeWorker::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::string FakeWorker::last_traceparent() const {
  const std::lock_guard lock(mutex_);
  return traceparent_;
}

bool FakeWorker::Stopped(const std::string& request_id, uint32_t index) const {
  const std::lock_guard lock(mutex_);
  return stopped_.contains({request_id, index});
}

// Whether the script is held up; false once it may go on.
bool FakeWorker::Waits(grpc::ServerContext* context) {
  std::unique_lock lock(mutex_);
  while (script_.hold && !released_ && !stopping_ && !context->IsCancelled()) {
    changed_.wait_for(lock, kTick);
  }
  return stopping_ || context->IsCancelled();
}

grpc::Status FakeWorker::GenerateTokens(grpc::ServerContext* context,
                                        const v1::GenerateTokensRequest* request,
                                        grpc::ServerWriter<v1::GenerateTokensResponse>* writer) {
  Script script;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(*request);
    script = script_;
    const auto trace = context->client_metadata().find("traceparent");
    if (trace != context->client_metadata().end()) {
      traceparent_ = std::string(trace->second.data(), trace->second.size());
    }
  }
  last_deadline_ = context->deadline();
  dispatch_seen_ = std::max(dispatch_seen_.load(), request->dispatch_sequence());
  if (request->model_fingerprint() != "fingerprint-" + id_) {
    return {grpc::StatusCode::FAILED_PRECONDITION, "model_fingerprint: another one"};
  }
  if (Waits(context)) {
    if (context->IsCancelled()) ++num_cancelled_;
    return grpc::Status::CANCELLED;
  }
  std::vector<Sample> samples(request->sampling().num_samples());
  for (uint32_t i = 0; i < samples.size(); ++i) samples[i].index = i;
  for (bool first = true;; first = false) {
    const auto position = static_cast<int>(samples[0].position);
    if (script.fail_after_tokens.has_value() && position >= *script.fail_after_tokens) {
      return script.status;
    }
    if (std::all_of(samples.begin(), samples.end(), [](const Sample& s) { return s.finished; })) {
      break;
    }
    if (context->IsCancelled() || !SendRound(script, *request, first, samples, writer)) {
      ++num_cancelled_;
      return grpc::Status::CANCELLED;
    }
  }
  v1::GenerateTokensResponse last;
  last.mutable_usage()->set_prompt_tokens(static_cast<uint32_t>(request->prompt_token_ids_size()));
  last.mutable_usage()->set_completion_tokens(1'000'000);  // the router counts itself
  last.mutable_timing()->set_prefill_us(100);
  writer->Write(last);
  return grpc::Status::OK;
}

bool FakeWorker::SendRound(const Script& script, const v1::GenerateTokensRequest& request,
                           bool first, std::vector<Sample>& samples,
                           grpc::ServerWriter<v1::GenerateTokensResponse>* writer) {
  v1::GenerateTokensResponse message;
  if (first) {
    message.mutable_usage()->set_cached_tokens(script.cached_tokens);
    if (request.sampling().has_num_prompt_logprobs()) {
      for (int i = 1; i < request.prompt_token_ids_size(); ++i) {
        message.mutable_prompt_logprobs()->add_token_ids(request.prompt_token_ids(i));
        message.mutable_prompt_logprobs()->add_logprobs(kPromptLogprob);
      }
    }
  }
  for (Sample& sample : samples) {
    if (sample.finished) continue;
    v1::SampleTokens& out = *message.add_samples();
    out.set_index(sample.index);
    if (Stopped(request.request_id(), sample.index)) {
      out.set_first_position(sample.position);
      out.set_finish_reason(v1::FINISH_REASON_STOP);
      sample.finished = true;
      continue;
    }
    FillSample(script, request, sample, out);
  }
  if (script.endless) std::this_thread::sleep_for(kTick);
  return writer->Write(message);
}

void FakeWorker::FillSample(const Script& script, const v1::GenerateTokensRequest& request,
                            Sample& sample, v1::SampleTokens& out) {
  out.set_first_position(sample.position + (script.skip_position && sample.position > 0 ? 1 : 0));
  for (int i = 0; i < script.tokens_per_message && !sample.finished; ++i) {
    const bool at_end = !script.endless && sample.position == script.text.size();
    const auto id =
        at_end ? static_cast<uint32_t>(kEndToken)
               : static_cast<unsigned char>(script.text[sample.position % script.text.size()]);
    out.add_token_ids(id);
    ++sample.position;
    ++num_tokens_sent_;
    if (request.sampling().has_num_logprobs()) {
      const uint32_t num_top = request.sampling().num_logprobs();
      out.mutable_logprobs()->set_num_top(num_top);
      out.mutable_logprobs()->add_token_ids(id);
      out.mutable_logprobs()->add_logprobs(-0.5f);
      for (uint32_t k = 0; k < num_top; ++k) {
        out.mutable_logprobs()->add_top_token_ids('a' + k);
        out.mutable_logprobs()->add_top_logprobs(-static_cast<float>(k));
      }
    }
    const auto& stop_ids = request.sampling().stop_token_ids();
    if (at_end || std::find(stop_ids.begin(), stop_ids.end(), id) != stop_ids.end()) {
      out.set_stop_token_id(id);
      out.set_finish_reason(v1::FINISH_REASON_STOP);
      sample.finished = true;
    } else if (sample.position == request.sampling().max_tokens()) {
      out.set_finish_reason(v1::FINISH_REASON_LENGTH);
      sample.finished = true;
    }
  }
}

grpc::Status FakeWorker::StopSamples(grpc::ServerContext*, const v1::StopSamplesRequest* request,
                                     v1::StopSamplesResponse*) {
  const std::lock_guard lock(mutex_);
  for (const uint32_t index : request->indices()) stopped_.emplace(request->request_id(), index);
  num_stopped_samples_ += request->indices_size();
  return grpc::Status::OK;
}

grpc::Status FakeWorker::GetWorkerInfo(grpc::ServerContext*, const v1::GetWorkerInfoRequest*,
                                       v1::GetWorkerInfoResponse* response) {
  response->set_worker_id(id_);
  response->set_epoch(epoch_);
  response->set_model(model_);
  response->set_model_fingerprint("fingerprint-" + id_);
  response->set_model_card_digest(DigestOf(card_seed_));
  response->set_architecture("llama");
  response->set_context_length(1000);
  response->set_vocabulary_size(300);  // padded
  response->set_block_size_tokens(block_size_);
  response->set_num_kv_blocks(1000);
  response->set_block_hash_version(kBlockHashVersion);
  return grpc::Status::OK;
}

grpc::Status FakeWorker::GetModelCard(grpc::ServerContext*, const v1::GetModelCardRequest*,
                                      grpc::ServerWriter<v1::GetModelCardResponse>* writer) {
  // In two pieces, as a large asset comes.
  v1::GetModelCardResponse piece;
  piece.set_name("tokenizer.json");
  piece.set_data(card_seed_.substr(0, 2));
  writer->Write(piece);
  piece.set_data(card_seed_.substr(2));
  piece.set_sha256(rpc::Sha256Of(card_seed_));
  writer->Write(piece);
  return grpc::Status::OK;
}

grpc::Status FakeWorker::WatchLoad(grpc::ServerContext* context, const v1::WatchLoadRequest*,
                                   grpc::ServerWriter<v1::WatchLoadResponse>* writer) {
  v1::WatchLoadResponse report;
  while (!context->IsCancelled()) {
    if (reports_) {
      report.set_epoch(epoch_);
      report.set_sequence(report.sequence() + 1);
      report.set_state(state_);
      report.set_heartbeats(++heartbeats_);
      report.set_dispatch_sequence_seen(dispatch_seen_);
      report.set_kv_blocks_total(1000);
      report.set_step_tokens_max(512);
      report.set_running_sequences_max(64);
      report.set_num_routers(1);
      report.mutable_step_cost()->set_base_us(1000);
      report.mutable_step_cost()->set_per_prefill_token_us(100);
      if (!writer->Write(report)) break;
    }
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, milliseconds(10), [this] { return stopping_; })) break;
  }
  return grpc::Status::OK;
}

grpc::Status FakeWorker::WatchCache(grpc::ServerContext* context, const v1::WatchCacheRequest*,
                                    grpc::ServerWriter<v1::WatchCacheResponse>* writer) {
  size_t num_sent = 0;
  v1::WatchCacheResponse snapshot;
  {
    const std::lock_guard lock(mutex_);
    snapshot.set_epoch(epoch_);
    snapshot.set_sequence(cache_sequence_);
    for (const std::string& hashes : chains_) {
      snapshot.mutable_snapshot()->add_chains()->set_hashes(hashes);
    }
    snapshot.mutable_snapshot()->set_last(true);
    num_sent = chains_.size();
  }
  ++num_snapshots_;
  if (!writer->Write(snapshot)) return grpc::Status::CANCELLED;
  while (!context->IsCancelled()) {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, milliseconds(5), [this] { return stopping_; })) break;
    if (num_sent == chains_.size()) continue;
    v1::WatchCacheResponse delta;
    delta.set_epoch(epoch_);
    delta.set_sequence(++cache_sequence_);
    delta.mutable_delta()->add_changes()->mutable_stored()->set_hashes(chains_[num_sent++]);
    lock.unlock();
    if (!writer->Write(delta)) break;
  }
  return grpc::Status::OK;
}

grpc::Status FakeWorker::Drain(grpc::ServerContext*, const v1::DrainRequest*,
                               grpc::ServerWriter<v1::DrainResponse>* writer) {
  state_ = v1::WORKER_STATE_DRAINED;
  v1::DrainResponse progress;
  progress.set_running_sequences(1);
  writer->Write(progress);
  progress.set_running_sequences(0);
  writer->Write(progress);
  return grpc::Status::OK;
}

}  // namespace banyan::router
