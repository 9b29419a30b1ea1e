#include "common/rpc/metrics.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace banyan::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<MetricSpec>& TestSpecs() {
  static const std::vector<MetricSpec> specs = {
      {"test_requests_total",
       MetricType::kCounter,
       "Requests.",
       {{"class", {"realtime", "batch"}}, {"outcome", {"ok", "failed"}}}},
      {"test_depth", MetricType::kGauge, "Depth."},
      {"test_wait_seconds", MetricType::kHistogram, "Wait.", {}, BucketSet::kSeconds},
      {"test_streams", MetricType::kGauge, "Streams.", {{"worker", {}}}},
  };
  return specs;
}

TEST(MetricsTest, ClosedSeriesExistFromTheStart) {
  const MetricsRegistry registry(TestSpecs());
  const std::string page = registry.Render();
  for (const char* line : {"test_requests_total{class=\"realtime\",outcome=\"ok\"} 0",
                           "test_requests_total{class=\"batch\",outcome=\"failed\"} 0",
                           "test_depth 0", "test_wait_seconds_bucket{le=\"2560\"} 0",
                           "# HELP test_depth Depth.", "# TYPE test_wait_seconds histogram"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
  EXPECT_THAT(page, Not(HasSubstr("test_streams{")));
}

TEST(MetricsTest, ProcessMetricsAreOnThePage) {
  const MetricsRegistry registry(TestSpecs());
  const std::string page = registry.Render();
  for (const MetricSpec& spec : ProcessMetricSpecs()) {
    EXPECT_THAT(page, HasSubstr(std::string(spec.name)));
  }
  EXPECT_THAT(page, Not(HasSubstr("process_resident_memory_bytes 0\n")));
  EXPECT_THAT(page, Not(HasSubstr("process_start_time_seconds 0\n")));
  EXPECT_THAT(page, Not(HasSubstr("process_open_fds 0\n")));
}

TEST(MetricsTest, ConfiguredSeriesComeAndGo) {
  MetricsRegistry registry(TestSpecs());
  registry.Gauge("test_streams", {{"worker", "w0"}}).Set(3);
  EXPECT_THAT(registry.Render(), HasSubstr("test_streams{worker=\"w0\"} 3"));
  registry.Remove("test_streams", {{"worker", "w0"}});
  EXPECT_THAT(registry.Render(), Not(HasSubstr("test_streams{")));
}

TEST(MetricsTest, RefreshRunsBeforeEveryScrape) {
  MetricsRegistry registry(TestSpecs());
  double depth = 0;
  auto& gauge = registry.Gauge("test_depth");
  registry.AddRefresh([&] { gauge.Set(++depth); });
  EXPECT_THAT(registry.Render(), HasSubstr("test_depth 1\n"));
  EXPECT_THAT(registry.Render(), HasSubstr("test_depth 2\n"));
}

TEST(MetricsTest, MirroredCountersNeverFall) {
  prometheus::Counter counter;
  RaiseTo(counter, 5);
  RaiseTo(counter, 3);
  EXPECT_EQ(counter.Value(), 5);
  RaiseTo(counter, 6);
  EXPECT_EQ(counter.Value(), 6);
}

TEST(MetricsTest, BucketEdgesRise) {
  for (const BucketSet set : {BucketSet::kSeconds, BucketSet::kGap, BucketSet::kMicro,
                              BucketSet::kTokens, BucketSet::kRatio}) {
    const auto edges = BucketEdges(set);
    ASSERT_FALSE(edges.empty());
    EXPECT_TRUE(std::is_sorted(edges.begin(), edges.end()));
    EXPECT_EQ(std::adjacent_find(edges.begin(), edges.end()), edges.end());
  }
}

TEST(MetricsDeathTest, UnlistedNamesAndValuesAbort) {
  MetricsRegistry registry(TestSpecs());
  EXPECT_DEATH(registry.Counter("test_nothing_total"), "not listed: test_nothing_total");
  EXPECT_DEATH(registry.Gauge("test_requests_total"), "another type");
  EXPECT_DEATH(registry.Counter("test_requests_total", {{"class", "x"}, {"outcome", "ok"}}),
               "not listed: x");
  EXPECT_DEATH(registry.Gauge("test_depth", {{"worker", "w"}}), "labels of test_depth");
}

TEST(MetricsServerTest, BusyPortIsOneSentence) {
  auto registry = std::make_shared<MetricsRegistry>(TestSpecs());
  const auto first =
      MetricsServer::Start({"127.0.0.1", 0}, TransportSecurity::kLoopbackOnly, registry);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_NE((*first)->address().port, 0);
  const auto second =
      MetricsServer::Start((*first)->address(), TransportSecurity::kLoopbackOnly, registry);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("metrics port: " + (*first)->address().ToString() + " is in use"));
}

TEST(MetricsServerTest, OffLoopbackNeedsInsecure) {
  auto registry = std::make_shared<MetricsRegistry>(TestSpecs());
  EXPECT_EQ(MetricsServer::Start({"0.0.0.0", 0}, TransportSecurity::kLoopbackOnly, registry)
                .status()
                .code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace banyan::rpc
