// The exposer throws and its headers pull in a web server, so it has a file of its own.
#include <exception>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/rpc/metrics.h"
#include "prometheus/exposer.h"

namespace banyan::rpc {
namespace {

constexpr size_t kNumExposerThreads = 2;
constexpr std::string_view kWhat = "metrics port";

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

MetricsServer::~MetricsServer() = default;

}  // namespace banyan::rpc
