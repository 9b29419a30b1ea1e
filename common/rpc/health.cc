#include "common/rpc/health.h"

#include "common/rpc/errors.h"

namespace banyan::rpc {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

HealthCheckResponse::ServingStatus ToWire(std::optional<ServingStatus> status) {
  if (!status.has_value()) return HealthCheckResponse::SERVICE_UNKNOWN;
  return *status == ServingStatus::kServing ? HealthCheckResponse::SERVING
                                            : HealthCheckResponse::NOT_SERVING;
}

}  // namespace

// One Watch call: writes the newest status whenever it differs from the last one written.
class HealthBoard::Watcher final : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  Watcher(HealthBoard& board, std::string name) : board_(board), name_(std::move(name)) {
    board_.Attach(this);
  }

  const std::string& name() const { return name_; }

  // Called with the board locked, so updates keep their order.
  void Update(std::optional<ServingStatus> status) {
    const std::lock_guard lock(mutex_);
    wanted_ = ToWire(status);
    WriteIfNeeded();
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) return FinishOnce(grpc::Status::CANCELLED);
    if (cancelled_) return FinishOnce(grpc::Status::CANCELLED);
    WriteIfNeeded();
  }

  void OnCancel() override {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    if (!writing_) FinishOnce(grpc::Status::CANCELLED);
  }

  void OnDone() override {
    board_.Detach(this);
    delete this;
  }

 private:
  void WriteIfNeeded() {
    if (writing_ || finished_ || cancelled_ || (sent_any_ && message_.status() == wanted_)) return;
    message_.set_status(wanted_);
    writing_ = true;
    sent_any_ = true;
    StartWrite(&message_);
  }

  void FinishOnce(const grpc::Status& status) {
    if (finished_) return;
    finished_ = true;
    Finish(status);
  }

  HealthBoard& board_;
  const std::string name_;
  std::mutex mutex_;
  HealthCheckResponse message_;
  HealthCheckResponse::ServingStatus wanted_ = HealthCheckResponse::SERVICE_UNKNOWN;
  bool sent_any_ = false;
  bool writing_ = false;
  bool cancelled_ = false;
  bool finished_ = false;
};

HealthBoard::HealthBoard() { Set(kHealthOverall, ServingStatus::kNotServing); }

void HealthBoard::Set(std::string_view name, ServingStatus status) {
  const std::lock_guard lock(mutex_);
  const auto found = statuses_.find(name);
  if (found == statuses_.end()) {
    statuses_.emplace(name, status);
  } else if (found->second == status) {
    return;
  } else {
    found->second = status;
  }
  for (Watcher* watcher : watchers_) {
    if (watcher->name() == name) watcher->Update(status);
  }
}

std::optional<ServingStatus> HealthBoard::Get(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = statuses_.find(name);
  if (found == statuses_.end()) return std::nullopt;
  return found->second;
}

void HealthBoard::Attach(Watcher* watcher) {
  const std::lock_guard lock(mutex_);
  watchers_.insert(watcher);
  const auto found = statuses_.find(watcher->name());
  watcher->Update(found == statuses_.end() ? std::nullopt : std::optional(found->second));
}

void HealthBoard::Detach(Watcher* watcher) {
  const std::lock_guard lock(mutex_);
  watchers_.erase(watcher);
}

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context,
                                               const HealthCheckRequest* request,
                                               HealthCheckResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const std::optional<ServingStatus> status = board_.Get(request->service());
  if (!status.has_value()) {
    reactor->Finish({grpc::StatusCode::NOT_FOUND,
                     "service: unknown health name " + QuoteValue(request->service())});
    return reactor;
  }
  response->set_status(ToWire(status));
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(
    grpc::CallbackServerContext*, const HealthCheckRequest* request) {
  return new HealthBoard::Watcher(board_, request->service());
}

}  // namespace banyan::rpc
