#include "common/rpc/process_stats.h"

#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

namespace banyan::rpc {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

std::string ReadSmallFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Value of "KEY:   123 kB" in a /proc file, in bytes.
std::optional<int64_t> ReadKilobytes(const std::string& text, const std::string& key) {
  const size_t at = text.find(key + ":");
  if (at == std::string::npos) return std::nullopt;
  std::istringstream rest(text.substr(at + key.size() + 1));
  int64_t kilobytes = 0;
  if (!(rest >> kilobytes)) return std::nullopt;
  return kilobytes * 1024;
}

// Start in clock ticks after boot is field 22 of /proc/self/stat; boot time is in /proc/stat.
double ReadStartTime() {
  const std::string stat = ReadSmallFile("/proc/self/stat");
  const size_t after_name = stat.rfind(')');
  if (after_name == std::string::npos) return 0;
  std::istringstream fields(stat.substr(after_name + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  const std::string boot = ReadSmallFile("/proc/stat");
  const size_t at = boot.find("btime ");
  if (field.empty() || at == std::string::npos) return 0;
  const double ticks = std::strtod(field.c_str(), nullptr);
  return std::strtod(boot.c_str() + at + 6, nullptr) +
         ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// A number in a cgroup file; "max" and absence mean no limit.
std::optional<int64_t> ReadNumber(const std::string& path) {
  const std::string text = ReadSmallFile(path);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

std::optional<int64_t> CgroupRoomBytes() {
  const auto limit = ReadNumber("/sys/fs/cgroup/memory.max");
  const auto used = ReadNumber("/sys/fs/cgroup/memory.current");
  if (!limit.has_value() || !used.has_value()) return std::nullopt;
  // Page cache counts as used but can be dropped.
  const std::string stat = ReadSmallFile("/sys/fs/cgroup/memory.stat");
  int64_t reclaimable = 0;
  std::istringstream lines(stat);
  std::string key;
  int64_t value = 0;
  while (lines >> key >> value) {
    if (key == "inactive_file" || key == "active_file") reclaimable += value;
  }
  return std::max<int64_t>(0, *limit - *used + reclaimable);
}

}  // namespace

ProcessStats ReadProcessStats() {
  static const double start_time_s = ReadStartTime();
  ProcessStats stats;
  stats.start_time_s = start_time_s;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    stats.cpu_s = Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
  }
  stats.resident_bytes =
      static_cast<double>(ReadKilobytes(ReadSmallFile("/proc/self/status"), "VmRSS").value_or(0));
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    stats.open_fds += 1;
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) stats.max_fds = static_cast<double>(limit.rlim_cur);
  return stats;
}

int64_t AvailableMemoryBytes() {
  const int64_t machine = ReadKilobytes(ReadSmallFile("/proc/meminfo"), "MemAvailable").value_or(0);
  const std::optional<int64_t> cgroup = CgroupRoomBytes();
  if (!cgroup.has_value()) return machine;
  return machine == 0 ? *cgroup : std::min(machine, *cgroup);
}

}  // namespace banyan::rpc
