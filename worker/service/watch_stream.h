// The frame of a server-streaming call that a WatcherHub ticks: one write outstanding, ends on
// cancel. A subclass only says what comes next.
//
// Ticks come on the hub's thread, all else on gRPC's; one mutex makes them take turns, so that Next
// needs no lock. Owns itself: Run() hands it to gRPC, OnDone deletes it.
#pragma once

#include <mutex>
#include <utility>

#include "absl/status/status.h"
#include "common/rpc/errors.h"
#include "grpcpp/support/server_callback.h"
#include "worker/service/watcher_hub.h"

namespace banyan::worker {

// What a watch stream does now.
struct WatchStep {
  enum class Action {
    kWait,       // nothing is due for `wait`
    kWrite,      // `message` was filled
    kWriteLast,  // `message` was filled and ends the stream well
    kEnd,        // end with `status`
  };
  Action action = Action::kWait;
  Duration wait = kHubIdlePeriod;
  absl::Status status = {};
};

template <typename Message>
class WatchStream : public grpc::ServerWriteReactor<Message>, public Watcher {
 public:
  WatchStream(WatcherHub& hub, const Clock& clock) : hub_(hub), clock_(clock) {}

  // Begins; returns itself for gRPC.
  WatchStream* Run() {
    hub_.Add(this);
    return this;
  }

  Duration Tick(TimePoint now) final {
    const std::lock_guard lock(mutex_);
    return Pump(now);
  }

  void OnWriteDone(bool ok) final {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) cancelled_ = true;
    // The hub was told to wait while the write ran; what is due now may be due sooner.
    if (Pump(clock_.Now()) < kHubIdlePeriod) hub_.Wake();
  }

  void OnCancel() final {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    Pump(clock_.Now());
  }

  void OnDone() final {
    hub_.Remove(this);
    delete this;
  }

 protected:
  // Fills `message` (cleared) where something is due. One call at a time; must not block.
  virtual WatchStep Next(TimePoint now, Message& message) = 0;

 private:
  Duration Pump(TimePoint now) {
    if (writing_ || closed_) return kHubIdlePeriod;
    if (cancelled_) {
      closed_ = true;
      this->Finish(grpc::Status::CANCELLED);
      return kHubIdlePeriod;
    }
    if (hub_.closed()) {
      closed_ = true;
      this->Finish(rpc::Error(rpc::ErrorReason::kWorkerDraining, "the worker shuts down").ToGrpc());
      return kHubIdlePeriod;
    }
    message_.Clear();
    const WatchStep step = Next(now, message_);
    switch (step.action) {
      case WatchStep::Action::kWait:
        break;
      case WatchStep::Action::kWrite:
        writing_ = true;
        this->StartWrite(&message_);
        break;
      case WatchStep::Action::kWriteLast:
        closed_ = true;
        this->StartWriteAndFinish(&message_, grpc::WriteOptions(), grpc::Status::OK);
        break;
      case WatchStep::Action::kEnd:
        closed_ = true;
        this->Finish(rpc::ToGrpcStatus(step.status));
        break;
    }
    return step.wait;
  }

  WatcherHub& hub_;
  const Clock& clock_;
  std::mutex mutex_;
  Message message_;
  bool writing_ = false;
  bool cancelled_ = false;
  bool closed_ = false;
};

// Ends a stream before it began.
template <typename Message>
class RefusedStream final : public grpc::ServerWriteReactor<Message> {
 public:
  explicit RefusedStream(const absl::Status& status) { this->Finish(rpc::ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

}  // namespace banyan::worker
