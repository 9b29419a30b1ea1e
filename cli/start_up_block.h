// What `banyan serve` prints once the cluster answers.
#pragma once

#include <string>
#include <vector>

#include "cli/child_log.h"
#include "cli/cluster_plan.h"

namespace banyan::cli {

struct StartUpFacts {
  std::string model_path;
  std::string dtype;
  std::string state_dir;
  ChildLogLine worker_plan;  // of one worker; all are equal
  ProcessPorts router;
  std::vector<ProcessPorts> workers;
};

std::string FormatStartUpBlock(const StartUpFacts& facts);

}  // namespace banyan::cli
