// The exposer throws and its headers pull in a web server, so it has a file of its own.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <thread>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/rpc/metrics.h"
#include "prometheus/exposer.h"

namespace banyan::rpc {
namespace {

constexpr size_t kNumExposerThreads = 2;
constexpr std::string_view kWhat = "metrics port";
constexpr std::chrono::milliseconds kKnockPeriod(5);

// Opens and closes a connection to this machine's port; whether that works does not matter.
void Knock(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  [[maybe_unused]] const int result =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  close(fd);
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const ListenAddress& address, TransportSecurity security,
    std::shared_ptr<MetricsRegistry> registry) {
  BANYAN_RETURN_IF_ERROR(CheckExposure(address, security));
  ListenAddress bound = address;
  // The web server takes numeric addresses only.
  if (bound.host == "localhost") bound.host = "127.0.0.1";
  std::unique_ptr<prometheus::Exposer> exposer;
  try {
    exposer = std::make_unique<prometheus::Exposer>(bound.ToString(), kNumExposerThreads);
    const std::vector<int> ports = exposer->GetListeningPorts();
    if (!ports.empty()) bound.port = static_cast<uint16_t>(ports[0]);
    exposer->RegisterCollectable(registry);
  } catch (const std::exception&) {
    return ExplainBindFailure(bound, kWhat);
  }
  return std::unique_ptr<MetricsServer>(
      new MetricsServer(std::move(bound), std::move(registry), std::move(exposer)));
}

MetricsServer::MetricsServer(ListenAddress address, std::shared_ptr<MetricsRegistry> registry,
                             std::unique_ptr<prometheus::Exposer> exposer)
    : address_(std::move(address)), registry_(std::move(registry)), exposer_(std::move(exposer)) {}

// The web server looks at its stop flag when a connection comes or two seconds have passed: knock
// until it has gone, so that a process ends at once.
MetricsServer::~MetricsServer() {
  std::atomic<bool> stopped{false};
  std::thread stopper([&] {
    exposer_ = nullptr;
    stopped = true;
  });
  while (!stopped) {
    std::this_thread::sleep_for(kKnockPeriod);
    if (!stopped) Knock(address_.port);
  }
  stopper.join();
}

}  // namespace banyan::rpc
