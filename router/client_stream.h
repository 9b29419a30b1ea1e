// One server-streaming call to a worker, as callbacks. The call owns itself: it lives until the
// last callback has returned, and whoever started it keeps a handle that can only cancel.
//
// `on_message` returns whether to read on. `on_end` comes exactly once, last. Both are called by
// gRPC's threads, one at a time.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "grpcpp/client_context.h"
#include "grpcpp/support/client_callback.h"

namespace banyan::router {

// Cancels a call; idempotent. Keeps only the context alive.
using CallHandle = std::shared_ptr<grpc::ClientContext>;

template <typename Response>
class ClientStream final : public grpc::ClientReadReactor<Response> {
 public:
  using OnMessage = std::function<bool(const Response&)>;
  using OnEnd = std::function<void(const grpc::Status&)>;

  // `open(context, request, reactor)` binds the stub's method: stub.async()->Method(...).
  template <typename Request, typename Open>
  static void Start(CallHandle context, Request request, Open open, OnMessage on_message,
                    OnEnd on_end) {
    auto* stream = new ClientStream(std::move(context), std::move(on_message), std::move(on_end));
    auto kept = std::make_shared<Request>(std::move(request));
    stream->request_ = kept;
    open(stream->context_.get(), kept.get(), stream);
    stream->StartRead(&stream->message_);
    stream->StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    const bool read_on = on_message_(message_);
    if (!read_on) context_->TryCancel();
    this->StartRead(&message_);
  }

  void OnDone(const grpc::Status& status) override {
    on_end_(status);
    delete this;
  }

 private:
  ClientStream(CallHandle context, OnMessage on_message, OnEnd on_end)
      : context_(std::move(context)),
        on_message_(std::move(on_message)),
        on_end_(std::move(on_end)) {}

  CallHandle context_;
  std::shared_ptr<void> request_;
  OnMessage on_message_;
  OnEnd on_end_;
  Response message_;
};

}  // namespace banyan::router
