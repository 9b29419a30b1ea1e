// A child process whose stderr and stdout are read line by line. Used by the thread that started
// it; the child is told to end when that thread dies, so that nothing outlives its supervisor.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace banyan::cli {

class ChildProcess {
 public:
  // A longer line is cut into several.
  static constexpr size_t kLineBytesMax = 64u << 10;

  // NOT_FOUND or UNAVAILABLE with the program's path.
  static absl::StatusOr<ChildProcess> Start(const std::string& program,
                                            const std::vector<std::string>& arguments);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  // Kills the child when it still runs.
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  // To poll for readability; -1 once the child has closed its output.
  int output_fd() const { return output_fd_; }
  // Whole lines that are there now, without blocking.
  std::vector<std::string> ReadLines();
  void Signal(int signal) const;
  // Set once the child has ended: its exit code, or 128 + signal. Never blocks.
  std::optional<int> Poll();

 private:
  ChildProcess(pid_t pid, int output_fd) : pid_(pid), output_fd_(output_fd) {}
  void Reset();

  pid_t pid_ = -1;
  int output_fd_ = -1;
  std::string partial_;
  std::optional<int> exit_code_;
};

}  // namespace banyan::cli
