// Follows a DNS name (a headless Service): resolves it every 5 s, and at once when asked to. A
// failed look-up keeps the last answer. Own thread; thread-safe.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/clock.h"

namespace banyan::router {

class DnsDiscovery {
 public:
  // Addresses "host:port" for a name and port, sorted.
  using Resolver = std::function<absl::StatusOr<std::vector<std::string>>(const std::string& name,
                                                                          const std::string& port)>;
  // Called from the thread with the whole answer, whenever there is one.
  using OnAddresses = std::function<void(const std::vector<std::string>&)>;

  DnsDiscovery(std::string name, std::string port, Resolver resolver, OnAddresses on_addresses,
               Duration interval = std::chrono::seconds(5));
  ~DnsDiscovery();

  // Look again now: a connection was lost.
  void ResolveNow();

 private:
  void Run();

  const std::string name_;
  const std::string port_;
  const Resolver resolver_;
  const OnAddresses on_addresses_;
  const Duration interval_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  bool now_ = false;
  std::thread thread_;
};

// getaddrinfo: A and AAAA records. UNAVAILABLE when the name cannot be resolved.
absl::StatusOr<std::vector<std::string>> ResolveByDns(const std::string& name,
                                                      const std::string& port);

}  // namespace banyan::router
