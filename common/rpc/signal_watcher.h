// Turns SIGTERM and SIGINT into calls on an ordinary thread, where locks and gRPC are allowed.
//
// Make it in main before any other thread: the signals are blocked in the calling thread, and
// threads inherit that. One per process.
#pragma once

#include <functional>
#include <thread>

namespace banyan::rpc {

class SignalWatcher {
 public:
  // `on_signal(signal, count)`: count is 1 at the first signal of either kind, 2 at the second...
  using Callback = std::function<void(int signal, int count)>;

  explicit SignalWatcher(Callback on_signal);
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;
  // Ends the thread and restores the signal mask of the calling thread.
  ~SignalWatcher();

 private:
  void Run();

  Callback on_signal_;
  int signal_fd_;
  int stop_fd_;
  std::thread thread_;
};

}  // namespace banyan::rpc
