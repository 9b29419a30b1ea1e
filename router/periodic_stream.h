// A server stream that sends a picture at an interval until its source says that it is over. Each
// stream is woken by gRPC alarms, so it holds no thread. One write is outstanding at a time.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include "grpcpp/alarm.h"
#include "grpcpp/support/server_callback.h"

namespace banyan::router {

template <typename Response>
class PeriodicStream final : public grpc::ServerWriteReactor<Response> {
 public:
  // The next picture; absent status means that more will follow.
  struct Picture {
    Response response;
    std::optional<grpc::Status> last;
  };

  PeriodicStream(std::chrono::milliseconds interval, std::function<Picture()> take)
      : interval_(interval), take_(std::move(take)) {
    Send();
  }

 private:
  void Send() {
    const std::lock_guard lock(mutex_);
    waiting_ = false;
    if (finished_) return;
    if (cancelled_) return FinishLocked(grpc::Status::CANCELLED);
    picture_ = take_();
    this->StartWrite(&picture_.response);
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    if (!ok || cancelled_) return FinishLocked(grpc::Status::CANCELLED);
    if (picture_.last.has_value()) return FinishLocked(*picture_.last);
    waiting_ = true;
    alarm_.Set(std::chrono::system_clock::now() + interval_, [this](bool) { Send(); });
  }

  void OnCancel() override {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    // Wakes Send at once, which then finishes.
    if (waiting_) alarm_.Cancel();
  }

  void OnDone() override { delete this; }

  void FinishLocked(const grpc::Status& status) {
    finished_ = true;
    this->Finish(status);
  }

  const std::chrono::milliseconds interval_;
  const std::function<Picture()> take_;
  std::mutex mutex_;
  grpc::Alarm alarm_;
  Picture picture_;
  bool waiting_ = false;
  bool cancelled_ = false;
  bool finished_ = false;
};

}  // namespace banyan::router
