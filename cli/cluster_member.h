// One process of the cluster under supervision: its child, its ports, its log file, what it said of
// itself. Used by the supervisor's thread.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/child_log.h"
#include "cli/child_process.h"
#include "cli/cluster_plan.h"
#include "common/base/clock.h"

namespace banyan::cli {

enum class MemberKind { kRouter, kWorker };

class ClusterMember {
 public:
  // `arguments` makes the command line for the ports in force, so that a restart keeps the ports
  // that the kernel chose.
  using MakeArguments = std::function<std::vector<std::string>(const ProcessPorts&)>;
  using OnLine = std::function<void(ClusterMember&, const ChildLogLine&)>;

  ClusterMember(MemberKind kind, std::string name, std::string program, ProcessPorts ports,
                MakeArguments arguments, const std::filesystem::path& state_dir);

  absl::Status Start();
  // Reads what the child printed into the log file and to `on_line`; notices when it became ready.
  void Pump(const OnLine& on_line);
  // Set when the child has ended; Start() begins anew.
  std::optional<int> Ended() { return child_ ? child_->Poll() : std::nullopt; }
  bool running() { return child_.has_value() && !child_->Poll().has_value(); }
  bool ready() const { return ready_; }
  void Signal(int signal) {
    if (child_) child_->Signal(signal);
  }
  // Schedules a restart: after 1 s, doubled with each crash up to 30 s; a member that was ready for
  // a minute begins again at 1 s.
  void ScheduleRestart(TimePoint now);
  bool RestartDue(TimePoint now) const { return restart_at_ && now >= *restart_at_; }
  bool restart_scheduled() const { return restart_at_.has_value(); }

  MemberKind kind() const { return kind_; }
  const std::string& name() const { return name_; }
  const ProcessPorts& ports() const { return ports_; }
  int output_fd() const { return child_ ? child_->output_fd() : -1; }
  pid_t pid() const { return child_ ? child_->pid() : -1; }
  const std::filesystem::path& port_file() const { return port_file_; }
  const std::filesystem::path& log_path() const { return log_path_; }
  // Its worker_plan line, once it came.
  const ChildLogLine& plan() const { return plan_; }
  // What it last said at level error: why it could not go on.
  const std::string& last_error() const { return last_error_; }

 private:
  void ReadPortFile();

  const MemberKind kind_;
  const std::string name_;
  const std::string program_;
  ProcessPorts ports_;
  const MakeArguments arguments_;
  const std::filesystem::path port_file_;
  const std::filesystem::path log_path_;
  std::ofstream log_;
  std::optional<ChildProcess> child_;
  bool ready_ = false;
  TimePoint started_{};
  int num_crashes_ = 0;
  std::optional<TimePoint> restart_at_;
  ChildLogLine plan_;
  std::string last_error_;
};

}  // namespace banyan::cli
