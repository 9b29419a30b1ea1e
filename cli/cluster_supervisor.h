// `banyan serve`: starts one router and N workers as processes, restarts what crashes, and takes
// all of it down in order. One thread: a poll loop over the children's output and the signals.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/cluster_member.h"
#include "cli/cluster_plan.h"
#include "cli/progress_bar.h"
#include "common/rpc/exit_code.h"

namespace banyan::cli {

struct ClusterPrograms {
  std::string router;
  std::string worker;
};

class ClusterSupervisor {
 public:
  // Make it on the thread that calls Run, before other threads start: it blocks SIGINT, SIGTERM and
  // SIGCHLD.
  ClusterSupervisor(ServeOptions options, std::filesystem::path model, ClusterPrograms programs,
                    std::filesystem::path state_dir);
  ~ClusterSupervisor();

  // Returns when the cluster has ended: after a signal, or because it could not start.
  rpc::ExitCode Run();

 private:
  enum class Phase { kStarting, kServing, kStopping };

  void MakeMembers();
  absl::Status StartWorkers();
  absl::Status StartRouter();
  // Waits for output, a signal or `timeout_ms`, and handles what came.
  void Turn(int timeout_ms);
  void OnLine(ClusterMember& member, const ChildLogLine& line);
  void OnSignal();
  // Restarts or reports members that ended.
  void Reap();
  void Stop();
  // True once `done` holds; false when starting failed or a signal came first.
  template <typename Done>
  bool WaitUntil(Done done);
  // True when all members of `kind` ended within `limit`.
  bool WaitForEnd(MemberKind kind, Duration limit);
  void PrintStartUpBlock() const;
  void WriteClusterFile() const;

  const ServeOptions options_;
  const std::filesystem::path model_;
  const ClusterPrograms programs_;
  const std::filesystem::path state_dir_;
  int signal_fd_ = -1;
  std::vector<std::unique_ptr<ClusterMember>> members_;  // workers, then the router
  ProgressBar progress_;
  Phase phase_ = Phase::kStarting;
  int num_stop_signals_ = 0;
  std::set<std::string> joined_;  // ids of workers that the router has taken in
  std::optional<rpc::ExitCode> failure_;
};

}  // namespace banyan::cli
