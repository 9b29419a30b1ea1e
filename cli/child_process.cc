#include "cli/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"

namespace banyan::cli {
namespace {

// In the child, between fork and exec: async-signal-safe calls only.
[[noreturn]] void BecomeProgram(const char* program, char* const* argv, int output_fd,
                                pid_t parent) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // A group of its own: Ctrl-C at the terminal reaches the supervisor alone, which then drains in
  // order.
  ::setpgid(0, 0);
  // SIGKILL: without a supervisor nobody could end a child that hangs. The check covers a parent
  // that died before.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  ::dup2(output_fd, STDOUT_FILENO);
  ::dup2(output_fd, STDERR_FILENO);
  const int null_fd = ::open("/dev/null", O_RDONLY);
  if (null_fd >= 0) ::dup2(null_fd, STDIN_FILENO);
  ::execv(program, argv);
  constexpr char kMessage[] = "cannot execute\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kMessage, sizeof(kMessage) - 1);
  ::_exit(127);
}

}  // namespace

absl::StatusOr<ChildProcess> ChildProcess::Start(const std::string& program,
                                                 const std::vector<std::string>& arguments) {
  if (::access(program.c_str(), X_OK) != 0) {
    return absl::NotFoundError(
        absl::StrFormat("%s: cannot be executed: %s", program, std::strerror(errno)));
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return absl::UnavailableError(
        absl::StrFormat("%s: no pipe: %s", program, std::strerror(errno)));
  }
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) BecomeProgram(program.c_str(), argv.data(), ends[1], parent);
  const int error = errno;
  ::close(ends[1]);
  if (pid < 0) {
    ::close(ends[0]);
    return absl::UnavailableError(
        absl::StrFormat("%s: cannot be started: %s", program, std::strerror(error)));
  }
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return ChildProcess(pid, ends[0]);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      output_fd_(std::exchange(other.output_fd_, -1)),
      partial_(std::move(other.partial_)),
      exit_code_(other.exit_code_) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this == &other) return *this;
  Reset();
  pid_ = std::exchange(other.pid_, -1);
  output_fd_ = std::exchange(other.output_fd_, -1);
  partial_ = std::move(other.partial_);
  exit_code_ = other.exit_code_;
  return *this;
}

ChildProcess::~ChildProcess() { Reset(); }

void ChildProcess::Reset() {
  if (pid_ > 0 && !Poll()) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (output_fd_ >= 0) ::close(output_fd_);
  pid_ = -1;
  output_fd_ = -1;
}

std::vector<std::string> ChildProcess::ReadLines() {
  std::vector<std::string> lines;
  char buffer[16384];
  while (output_fd_ >= 0) {
    const ssize_t size = ::read(output_fd_, buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) break;
    if (size == 0) {
      ::close(output_fd_);
      output_fd_ = -1;
      if (!partial_.empty()) lines.push_back(std::exchange(partial_, {}));
      break;
    }
    for (ssize_t i = 0; i < size; ++i) {
      if (buffer[i] != '\n') partial_.push_back(buffer[i]);
      if (buffer[i] == '\n' || partial_.size() >= kLineBytesMax)
        lines.push_back(std::exchange(partial_, {}));
    }
  }
  return lines;
}

void ChildProcess::Signal(int signal) const {
  if (pid_ > 0 && !exit_code_) ::kill(pid_, signal);
}

std::optional<int> ChildProcess::Poll() {
  if (exit_code_ || pid_ <= 0) return exit_code_;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == pid_) {
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return exit_code_;
}

}  // namespace banyan::cli
