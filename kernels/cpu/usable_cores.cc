#include <sched.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>

#include "absl/strings/str_format.h"
#include "kernels/cpu/thread_pool.h"

namespace banyan::kernels::cpu {
namespace {

// Cores of the affinity mask; hyperthreads of one core count once.
int PhysicalCoresInMask() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0) return 1;
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mask)) continue;
    std::ifstream file(
        absl::StrFormat("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu));
    std::string siblings;
    if (!std::getline(file, siblings)) siblings = absl::StrFormat("%d", cpu);
    cores.insert(siblings);
  }
  return std::max(1, static_cast<int>(cores.size()));
}

// The folder of this process in the unified hierarchy (cgroups(7)), empty when there is none.
std::string CgroupFolder() {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("0::", 0) == 0) return "/sys/fs/cgroup" + line.substr(3);
  }
  return {};
}

// Cores that cpu.max of the process's cgroup and of its parents allow; `most` without a limit.
int CoresByQuota(int most) {
  constexpr size_t kRootLength = sizeof("/sys/fs/cgroup") - 1;
  std::string folder = CgroupFolder();
  while (folder.size() >= kRootLength) {
    std::ifstream file(folder + "/cpu.max");
    std::string quota;
    double period_us = 0;
    if (file >> quota >> period_us && quota != "max" && period_us > 0) {
      most = std::min(most, static_cast<int>(std::atof(quota.c_str()) / period_us));
    }
    folder.resize(folder.find_last_of('/'));
  }
  return most;
}

}  // namespace

int UsableCores() { return std::max(1, CoresByQuota(PhysicalCoresInMask())); }

}  // namespace banyan::kernels::cpu
