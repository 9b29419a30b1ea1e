#include "router/dns_discovery.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/log.h"

namespace banyan::router {

DnsDiscovery::DnsDiscovery(std::string name, std::string port, Resolver resolver,
                           OnAddresses on_addresses, Duration interval)
    : name_(std::move(name)),
      port_(std::move(port)),
      resolver_(std::move(resolver)),
      on_addresses_(std::move(on_addresses)),
      interval_(interval),
      thread_([this] { Run(); }) {}

DnsDiscovery::~DnsDiscovery() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void DnsDiscovery::ResolveNow() {
  {
    const std::lock_guard lock(mutex_);
    now_ = true;
  }
  wake_.notify_all();
}

void DnsDiscovery::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    now_ = false;
    lock.unlock();
    const auto addresses = resolver_(name_, port_);
    if (addresses.ok()) {
      on_addresses_(*addresses);
    } else {
      static LogThrottle throttle;
      if (int64_t suppressed = 0; throttle.Allow(suppressed)) {
        Log(LogSeverity::kWarning, "discovery_failed")
            .Field("name", name_)
            .Field("error", absl::StrFormat("%s", addresses.status().message()))
            .Field("suppressed", suppressed);
      }
    }
    lock.lock();
    wake_.wait_for(lock, interval_, [this] { return stopping_ || now_; });
  }
}

absl::StatusOr<std::vector<std::string>> ResolveByDns(const std::string& name,
                                                      const std::string& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(name.c_str(), port.c_str(), &hints, &found);
  if (error != 0) {
    return absl::UnavailableError(absl::StrFormat("%s: %s", name, gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  std::vector<std::string> addresses;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    char host[INET6_ADDRSTRLEN] = "";
    if (getnameinfo(each->ai_addr, each->ai_addrlen, host, sizeof(host), nullptr, 0,
                    NI_NUMERICHOST) != 0) {
      continue;
    }
    addresses.push_back(each->ai_family == AF_INET6 ? absl::StrFormat("[%s]:%s", host, port)
                                                    : absl::StrFormat("%s:%s", host, port));
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

}  // namespace banyan::router
