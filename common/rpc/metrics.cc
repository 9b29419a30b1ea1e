#include "common/rpc/metrics.h"

#include <array>
#include <map>
#include <sstream>
#include <utility>

#include "common/base/check.h"
#include "common/rpc/build_info.h"
#include "common/rpc/process_stats.h"
#include "prometheus/family.h"
#include "prometheus/text_serializer.h"

namespace banyan::rpc {
namespace {

// Every SLO threshold is an edge.
constexpr std::array kSecondsEdges = {.0005, .001, .0025, .005, .01,  .025, .05,  .1, .2,
                                      .3,    .5,   .75,   1.,   1.5,  2.,   3.,   5., 7.5,
                                      10.,   20.,  40.,   80.,  160., 640., 2560.};
constexpr std::array kGapEdges = {.0005, .001, .002, .003, .005, .0075, .01, .015, .02, .025, .03,
                                  .04,   .05,  .075, .1,   .15,  .2,    .3,  .5,   1.,  2.5,  10.};
constexpr std::array kMicroEdges = {1e-6,   2.5e-6, 5e-6, 1e-5,   2.5e-5, 5e-5, 1e-4,
                                    2.5e-4, 5e-4,   1e-3, 2.5e-3, 5e-3,   1e-2, 2.5e-2,
                                    5e-2,   .1,     .25,  .5,     1.};
constexpr std::array kTokensEdges = {1.,    2.,    4.,     8.,     16.,    32.,
                                     64.,   128.,  256.,   512.,   1024.,  2048.,
                                     4096., 8192., 16384., 32768., 65536., 131072.};
constexpr std::array kRatioEdges = {.25, .5, .67, .8, .9, 1., 1.1, 1.25, 1.5, 2., 4., 8.};

const std::array<MetricSpec, 6>& ProcessSpecs() {
  static const std::array<MetricSpec, 6> specs = {{
      {"banyan_build_info", MetricType::kGauge, "Always 1.", {{"version", {}}, {"commit", {}}}},
      {"process_start_time_seconds", MetricType::kGauge,
       "Start of the process since 1970-01-01 UTC."},
      {"process_cpu_seconds_total", MetricType::kCounter, "CPU time, user and system."},
      {"process_resident_memory_bytes", MetricType::kGauge, "Resident memory."},
      {"process_open_fds", MetricType::kGauge, "Open file descriptors."},
      {"process_max_fds", MetricType::kGauge, "Limit of file descriptors."},
  }};
  return specs;
}

void RefreshProcessMetrics(MetricsRegistry& registry) {
  const ProcessStats stats = ReadProcessStats();
  registry.Gauge("process_start_time_seconds").Set(stats.start_time_s);
  RaiseTo(registry.Counter("process_cpu_seconds_total"), stats.cpu_s);
  registry.Gauge("process_resident_memory_bytes").Set(stats.resident_bytes);
  registry.Gauge("process_open_fds").Set(stats.open_fds);
  registry.Gauge("process_max_fds").Set(stats.max_fds);
}

}  // namespace

struct MetricsRegistry::Families {
  prometheus::Registry registry;
  std::map<std::string, prometheus::Family<prometheus::Counter>*, std::less<>> counters;
  std::map<std::string, prometheus::Family<prometheus::Gauge>*, std::less<>> gauges;
  std::map<std::string, prometheus::Family<prometheus::Histogram>*, std::less<>> histograms;

  void Build(const MetricSpec& spec) {
    const std::string name(spec.name);
    const std::string help(spec.help);
    switch (spec.type) {
      case MetricType::kCounter:
        counters[name] = &prometheus::BuildCounter().Name(name).Help(help).Register(registry);
        break;
      case MetricType::kGauge:
        gauges[name] = &prometheus::BuildGauge().Name(name).Help(help).Register(registry);
        break;
      case MetricType::kHistogram:
        histograms[name] = &prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
        break;
    }
  }
};

std::span<const double> BucketEdges(BucketSet set) {
  switch (set) {
    case BucketSet::kNone:
      return {};
    case BucketSet::kSeconds:
      return kSecondsEdges;
    case BucketSet::kGap:
      return kGapEdges;
    case BucketSet::kMicro:
      return kMicroEdges;
    case BucketSet::kTokens:
      return kTokensEdges;
    case BucketSet::kRatio:
      return kRatioEdges;
  }
  return {};
}

std::span<const MetricSpec> ProcessMetricSpecs() { return ProcessSpecs(); }

MetricsRegistry::MetricsRegistry(std::span<const MetricSpec> specs)
    : specs_(ProcessSpecs().begin(), ProcessSpecs().end()),
      families_(std::make_unique<Families>()) {
  specs_.insert(specs_.end(), specs.begin(), specs.end());
  std::map<std::string_view, const MetricSpec*> seen;
  for (const MetricSpec& spec : specs_) {
    BANYAN_CHECK(seen.emplace(spec.name, &spec).second) << "metric listed twice: " << spec.name;
    BANYAN_CHECK((spec.buckets != BucketSet::kNone) == (spec.type == MetricType::kHistogram))
        << "buckets are for histograms: " << spec.name;
    families_->Build(spec);
    CreateClosedSeries(spec);
  }
  Gauge("banyan_build_info",
        {{"version", std::string(BuildVersion())}, {"commit", std::string(BuildCommit())}})
      .Set(1);
  AddRefresh([this] { RefreshProcessMetrics(*this); });
}

MetricsRegistry::~MetricsRegistry() = default;

void MetricsRegistry::CreateClosedSeries(const MetricSpec& spec) {
  std::vector<Labels> combinations(1);
  for (const MetricLabel& label : spec.labels) {
    if (label.values.empty()) return;
    std::vector<Labels> longer;
    for (const Labels& labels : combinations) {
      for (const std::string_view value : label.values) {
        Labels extended = labels;
        extended.emplace(label.name, value);
        longer.push_back(std::move(extended));
      }
    }
    combinations = std::move(longer);
  }
  for (const Labels& labels : combinations) {
    switch (spec.type) {
      case MetricType::kCounter:
        Counter(spec.name, labels);
        break;
      case MetricType::kGauge:
        Gauge(spec.name, labels);
        break;
      case MetricType::kHistogram:
        Histogram(spec.name, labels);
        break;
    }
  }
}

const MetricSpec& MetricsRegistry::Find(std::string_view name, MetricType type,
                                        const Labels& labels) const {
  const MetricSpec* found = nullptr;
  for (const MetricSpec& spec : specs_) {
    if (spec.name == name) found = &spec;
  }
  BANYAN_CHECK(found != nullptr) << "metric not listed: " << name;
  BANYAN_CHECK(found->type == type) << "metric of another type: " << name;
  BANYAN_CHECK_EQ(found->labels.size(), labels.size()) << "labels of " << name;
  for (const MetricLabel& label : found->labels) {
    const auto value = labels.find(std::string(label.name));
    BANYAN_CHECK(value != labels.end()) << name << " needs label " << label.name;
    bool listed = label.values.empty();
    for (const std::string_view allowed : label.values) listed |= allowed == value->second;
    BANYAN_CHECK(listed) << name << ": value of label " << label.name
                         << " is not listed: " << value->second;
  }
  return *found;
}

void MetricsRegistry::CountSeries() {
  const std::lock_guard lock(count_mutex_);
  ++num_series_;
  BANYAN_CHECK_LE(num_series_, kMetricSeriesMax) << "time series of one process";
}

prometheus::Counter& MetricsRegistry::Counter(std::string_view name, const Labels& labels) {
  Find(name, MetricType::kCounter, labels);
  auto& family = *families_->counters.find(name)->second;
  if (!family.Has(labels)) CountSeries();
  return family.Add(labels);
}

prometheus::Gauge& MetricsRegistry::Gauge(std::string_view name, const Labels& labels) {
  Find(name, MetricType::kGauge, labels);
  auto& family = *families_->gauges.find(name)->second;
  if (!family.Has(labels)) CountSeries();
  return family.Add(labels);
}

prometheus::Histogram& MetricsRegistry::Histogram(std::string_view name, const Labels& labels) {
  const MetricSpec& spec = Find(name, MetricType::kHistogram, labels);
  auto& family = *families_->histograms.find(name)->second;
  if (!family.Has(labels)) CountSeries();
  const std::span<const double> edges = BucketEdges(spec.buckets);
  return family.Add(labels, prometheus::Histogram::BucketBoundaries(edges.begin(), edges.end()));
}

void MetricsRegistry::Remove(std::string_view name, const Labels& labels) {
  bool removed = false;
  // Add() answers with the series that is there already; the bucket edges are then unused.
  const auto drop = [&](auto& families, const auto&... constructor_args) {
    const auto found = families.find(name);
    if (found == families.end() || !found->second->Has(labels)) return;
    found->second->Remove(&found->second->Add(labels, constructor_args...));
    removed = true;
  };
  drop(families_->counters);
  drop(families_->gauges);
  drop(families_->histograms, prometheus::Histogram::BucketBoundaries{});
  if (!removed) return;
  const std::lock_guard lock(count_mutex_);
  --num_series_;
}

void MetricsRegistry::AddRefresh(std::function<void()> refresh) {
  const std::lock_guard lock(collect_mutex_);
  refreshes_.push_back(std::move(refresh));
}

std::vector<prometheus::MetricFamily> MetricsRegistry::Collect() const {
  const std::lock_guard lock(collect_mutex_);
  for (const auto& refresh : refreshes_) refresh();
  return families_->registry.Collect();
}

std::string MetricsRegistry::Render() const {
  return prometheus::TextSerializer().Serialize(Collect());
}

void RaiseTo(prometheus::Counter& counter, double value) {
  const double now = counter.Value();
  if (value > now) counter.Increment(value - now);
}

}  // namespace banyan::rpc
