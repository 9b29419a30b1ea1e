// Prometheus metrics of one process, declared in one list: name, type, labels with their closed
// value lists, buckets and help. The registry makes every family from the list at start-up, and
// every series whose labels are all closed lists, so that rates and alerts have data from 0.
//
// Resolve a series once and keep the reference: Counter(), Gauge() and Histogram() look up by name
// and CHECK that list, type and labels agree. Updates are thread-safe and lock-free. Values that
// live elsewhere (engine stats, /proc) are copied in by refresh callbacks right before a scrape.
//
// Naming rules: units in the name, counters end in _total, label values come from closed lists or
// configuration, never from a request.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/rpc/listen_address.h"
#include "prometheus/collectable.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace prometheus {
class Exposer;
}

namespace banyan::rpc {

enum class MetricType { kCounter, kGauge, kHistogram };
// Upper edges, by name: see BucketEdges.
enum class BucketSet { kNone, kSeconds, kGap, kMicro, kTokens, kRatio };
std::span<const double> BucketEdges(BucketSet set);

struct MetricLabel {
  std::string_view name;
  std::vector<std::string_view> values;  // closed list; empty: configured or discovered values
};

struct MetricSpec {
  std::string_view name;
  MetricType type = MetricType::kCounter;
  std::string_view help;
  std::vector<MetricLabel> labels = {};
  BucketSet buckets = BucketSet::kNone;
};

// banyan_build_info and process_*: part of every process's page.
std::span<const MetricSpec> ProcessMetricSpecs();

inline constexpr size_t kMetricSeriesMax = 5'000;  // of one process

class MetricsRegistry final : public prometheus::Collectable {
 public:
  using Labels = std::map<std::string, std::string>;

  // `specs` and ProcessMetricSpecs() together are the page. Names must be distinct.
  explicit MetricsRegistry(std::span<const MetricSpec> specs);
  ~MetricsRegistry() override;

  prometheus::Counter& Counter(std::string_view name, const Labels& labels = {});
  prometheus::Gauge& Gauge(std::string_view name, const Labels& labels = {});
  prometheus::Histogram& Histogram(std::string_view name, const Labels& labels = {});

  // Drops one series of a family with configured labels (a worker left). References to it die.
  void Remove(std::string_view name, const Labels& labels);

  // Called before every scrape, one scrape at a time, in the order of registration.
  void AddRefresh(std::function<void()> refresh);

  // Everything there is, process metrics included.
  const std::vector<MetricSpec>& specs() const { return specs_; }

  std::vector<prometheus::MetricFamily> Collect() const override;
  // The page as text, for tests and for `doctor`.
  std::string Render() const;

 private:
  struct Families;

  const MetricSpec& Find(std::string_view name, MetricType type, const Labels& labels) const;
  void CreateClosedSeries(const MetricSpec& spec);
  void CountSeries();

  std::vector<MetricSpec> specs_;
  std::unique_ptr<Families> families_;
  mutable std::mutex collect_mutex_;
  std::vector<std::function<void()>> refreshes_;
  std::mutex count_mutex_;
  size_t num_series_ = 0;
};

// Raises a counter that mirrors a cumulative value kept elsewhere. A smaller value is ignored.
void RaiseTo(prometheus::Counter& counter, double value);

// Serves GET /metrics on one port until it dies.
class MetricsServer {
 public:
  // UNAVAILABLE with one sentence when the port is taken; FAILED_PRECONDITION when it is not
  // loopback and `security` does not allow that.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(
      const ListenAddress& address, TransportSecurity security,
      std::shared_ptr<MetricsRegistry> registry);
  ~MetricsServer();

  const ListenAddress& address() const { return address_; }

 private:
  MetricsServer(ListenAddress address, std::shared_ptr<MetricsRegistry> registry,
                std::unique_ptr<prometheus::Exposer> exposer);

  ListenAddress address_;
  std::shared_ptr<MetricsRegistry> registry_;
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace banyan::rpc
