#include "router/inference_service.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "common/base/status_macros.h"
#include "common/rpc/errors.h"
#include "common/rpc/request_id.h"
#include "router/generate_proxy.h"

namespace banyan::router {
namespace {

using rpc::Error;
using rpc::ErrorReason;

constexpr auto kDefaultDeadline = std::chrono::seconds(600);
constexpr auto kDeadlineMax = std::chrono::seconds(3600);

std::string MetadataValue(const grpc::CallbackServerContext& context, const char* key) {
  const auto found = context.client_metadata().find(key);
  if (found == context.client_metadata().end()) return {};
  return std::string(found->second.data(), found->second.size());
}

std::string RequestIdOf(const grpc::CallbackServerContext& context, const std::string& own) {
  if (!own.empty()) return own;
  std::string id = MetadataValue(context, "x-request-id");
  return rpc::IsValidRequestId(id) ? id : rpc::NewUuidV7();
}

// gRPC gives the far future where the client set none.
std::chrono::system_clock::time_point DeadlineOf(const grpc::CallbackServerContext& context) {
  const auto now = std::chrono::system_clock::now();
  const auto deadline = context.deadline();
  if (deadline > now + std::chrono::hours(24 * 365)) return now + kDefaultDeadline;
  return std::min(deadline, now + kDeadlineMax);
}

// One Generate call over gRPC. gRPC owns it until OnDone.
class GenerateReactor final : public grpc::ServerWriteReactor<v1::GenerateResponse>,
                              public ClientSink {
 public:
  GenerateReactor(const ServiceContext& context, grpc::CallbackServerContext* call,
                  const v1::GenerateRequest& request)
      : call_(call) {
    GenerateCall generate{.request = request,
                          .deadline = DeadlineOf(*call),
                          .trace = rpc::ParseTraceParent(MetadataValue(*call, "traceparent"))};
    generate.request.set_request_id(RequestIdOf(*call, request.request_id()));
    proxy_ = std::make_shared<GenerateProxy>(context, *this, std::move(generate));
  }
  void Start() { proxy_->Start(); }

  void AddMetadata(const std::string& key, const std::string& value) override {
    call_->AddInitialMetadata(key, value);
  }
  void StartWrite(const v1::GenerateResponse& message) override {
    grpc::ServerWriteReactor<v1::GenerateResponse>::StartWrite(&message);
  }
  void AbortWrite() override { call_->TryCancel(); }
  void Finish(const absl::Status& status) override {
    grpc::ServerWriteReactor<v1::GenerateResponse>::Finish(rpc::ToGrpcStatus(status));
  }

 private:
  void OnWriteDone(bool ok) override { proxy_->OnWritten(ok); }
  void OnCancel() override { proxy_->OnClientCancelled(); }
  void OnDone() override { delete this; }

  grpc::CallbackServerContext* const call_;
  std::shared_ptr<GenerateProxy> proxy_;
};

grpc::ServerUnaryReactor* FinishNow(grpc::CallbackServerContext* context,
                                    const grpc::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

// Runs `work` on the work pool and finishes the call with its status. Request and response live
// until then.
class PooledCall final : public grpc::ServerUnaryReactor {
 public:
  PooledCall(const ServiceContext& context, const char* method,
             std::function<absl::Status()> work) {
    const auto run = [this, &context, method, work = std::move(work)] {
      const absl::Status status = work();
      context.metrics.CountGrpcCall(method, status.code());
      Finish(rpc::ToGrpcStatus(status));
    };
    if (context.work_pool.Submit(run)) return;
    Finish(Error(ErrorReason::kQueueFull, "requests: too many wait for tokenization")
               .RetryAfter(std::chrono::seconds(1))
               .ToGrpc());
  }

 private:
  void OnDone() override { delete this; }
};

absl::Status RunTokenize(const WorkerRegistry& registry, const v1::TokenizeRequest& request,
                         v1::TokenizeResponse& response) {
  BANYAN_RETURN_IF_ERROR(ValidateTokenize(request));
  BANYAN_ASSIGN_OR_RETURN(const std::shared_ptr<ModelPool> pool,
                          registry.FindModel(request.model()));
  auto prompt = request.has_chat()
                    ? TokenizeChat(pool->text(), request.chat())
                    : TokenizeText(pool->text(), request.text(), request.omit_special_tokens());
  if (!prompt.ok()) return prompt.status();
  response.mutable_token_ids()->Assign(prompt->tokens.begin(), prompt->tokens.end());
  for (const TokenId id : prompt->tokens) {
    if (!request.return_token_bytes()) break;
    response.add_token_bytes(std::string(pool->text().tokenizer->TokenBytes(id)));
  }
  response.set_context_length(pool->limits().context_length);
  if (request.has_chat()) response.set_prompt_text(std::move(prompt->text));
  return absl::OkStatus();
}

absl::Status RunDetokenize(const WorkerRegistry& registry, const v1::DetokenizeRequest& request,
                           v1::DetokenizeResponse& response) {
  BANYAN_ASSIGN_OR_RETURN(const std::shared_ptr<ModelPool> pool,
                          registry.FindModel(request.model()));
  BANYAN_RETURN_IF_ERROR(ValidateDetokenize(request, pool->limits()));
  const std::vector<TokenId> ids(request.token_ids().begin(), request.token_ids().end());
  response.set_text(pool->text().tokenizer->Decode(ids, request.keep_special_tokens()
                                                            ? SpecialTokensInOutput::kKeep
                                                            : SpecialTokensInOutput::kDrop));
  return absl::OkStatus();
}

}  // namespace

grpc::ServerWriteReactor<v1::GenerateResponse>* InferenceService::Generate(
    grpc::CallbackServerContext* context, const v1::GenerateRequest* request) {
  auto* reactor = new GenerateReactor(context_, context, *request);
  reactor->Start();
  return reactor;
}

grpc::ServerUnaryReactor* InferenceService::Cancel(grpc::CallbackServerContext* context,
                                                   const v1::CancelRequest* request,
                                                   v1::CancelResponse*) {
  const std::shared_ptr<ActiveRequest> active = context_.active.Find(request->request_id());
  if (active == nullptr) {
    return FinishNow(context,
                     Error(ErrorReason::kRequestNotFound,
                           "request_id: not running: " + rpc::QuoteValue(request->request_id()))
                         .Resource("request", request->request_id().substr(0, 64))
                         .ToGrpc());
  }
  active->End(Error(ErrorReason::kCancelled, "cancelled by Cancel").ToStatus());
  return FinishNow(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* InferenceService::Embed(grpc::CallbackServerContext* context,
                                                  const v1::EmbedRequest*, v1::EmbedResponse*) {
  return FinishNow(context, Error(ErrorReason::kEmbeddingsUnsupported,
                                  "Embed: this build does not serve embeddings")
                                .ToGrpc());
}

grpc::ServerUnaryReactor* InferenceService::Tokenize(grpc::CallbackServerContext*,
                                                     const v1::TokenizeRequest* request,
                                                     v1::TokenizeResponse* response) {
  return new PooledCall(context_, "Tokenize", [this, request, response] {
    return RunTokenize(context_.registry, *request, *response);
  });
}

grpc::ServerUnaryReactor* InferenceService::Detokenize(grpc::CallbackServerContext*,
                                                       const v1::DetokenizeRequest* request,
                                                       v1::DetokenizeResponse* response) {
  return new PooledCall(context_, "Detokenize", [this, request, response] {
    return RunDetokenize(context_.registry, *request, *response);
  });
}

grpc::ServerUnaryReactor* InferenceService::ListModels(grpc::CallbackServerContext* context,
                                                       const v1::ListModelsRequest*,
                                                       v1::ListModelsResponse* response) {
  for (const std::shared_ptr<ModelPool>& pool : context_.registry.Pools()) {
    v1::Model& model = *response->add_models();
    model.set_name(pool->model());
    model.set_context_length(pool->info().context_length());
    model.set_vocabulary_size(pool->info().vocabulary_size());
    model.set_architecture(pool->info().architecture());
    model.set_weight_format(pool->info().weight_format());
    model.set_supports_chat(pool->text().chat_template.has_value());
    model.set_supports_embeddings(false);
    model.set_num_ready_workers(pool->routing().num_ready_workers(context_.clock.Now()));
    model.set_created_s(pool->created_s());
  }
  return FinishNow(context, grpc::Status::OK);
}

}  // namespace banyan::router
