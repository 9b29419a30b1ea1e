// What the kernel says about this process and machine (Linux /proc). Thread-safe.
#pragma once

#include <cstdint>

namespace banyan::rpc {

struct ProcessStats {
  double start_time_s = 0;  // since 1970-01-01 UTC
  double cpu_s = 0;         // user and system
  double resident_bytes = 0;
  double open_fds = 0;
  double max_fds = 0;
};

// Values that cannot be read stay 0.
ProcessStats ReadProcessStats();

// Memory that this process may still take without swapping, bytes: MemAvailable, or what the
// cgroup's limit leaves where that is less. 0: unknown.
int64_t AvailableMemoryBytes();

}  // namespace banyan::rpc
