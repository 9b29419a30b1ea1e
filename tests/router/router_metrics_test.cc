#include "router/router_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace banyan::router {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::Worker WorkerIn(const std::string& pool, const std::string& id) {
  v1::Worker worker;
  worker.set_pool(pool);
  worker.mutable_info()->set_worker_id(id);
  return worker;
}

// Families of a page by their TYPE lines.
std::set<std::string> FamiliesOf(const std::string& page) {
  std::set<std::string> families;
  for (size_t at = page.find("# TYPE "); at != std::string::npos;
       at = page.find("# TYPE ", at + 1)) {
    const size_t begin = at + 7;
    families.insert(page.substr(begin, page.find(' ', begin) - begin));
  }
  return families;
}

TEST(RouterMetricsTest, ThePageIsTheListBothWays) {
  rpc::MetricsRegistry registry(RouterMetricSpecs());
  RouterMetrics metrics(registry);
  const std::vector<v1::Worker> workers = {WorkerIn("p", "w0")};
  metrics.SetWorkers(workers);
  metrics.CountRequest(
      {.model = "m", .status = absl::OkStatus(), .prompt_tokens = 3, .output_tokens = 1});
  metrics.CountWorkerError("p", "w0", absl::StatusCode::kUnavailable);
  metrics.CountGrpcCall("Generate", absl::StatusCode::kOk);
  std::set<std::string> listed;
  for (const rpc::MetricSpec& spec : registry.specs()) listed.insert(std::string(spec.name));
  EXPECT_EQ(FamiliesOf(registry.Render()), listed);
}

TEST(RouterMetricsTest, CountersOverClosedListsBeginAtZeroWithTheirPoolAndWorker) {
  rpc::MetricsRegistry registry(RouterMetricSpecs());
  RouterMetrics metrics(registry);
  EXPECT_THAT(registry.Render(), Not(HasSubstr("banyan_router_retries_total{")));
  const std::vector<v1::Worker> workers = {WorkerIn("p", "w0")};
  metrics.SetWorkers(workers);
  const std::string page = registry.Render();
  for (const char* cause : {"connect", "unavailable", "rejected"}) {
    EXPECT_THAT(page, HasSubstr("banyan_router_retries_total{cause=\"" + std::string(cause) +
                                "\",pool=\"p\"} 0"));
  }
  for (const char* reason : {"prefix", "load", "prefix_too_busy", "session", "only_candidate",
                             "retry", "resume", "panic"}) {
    EXPECT_THAT(page, HasSubstr("banyan_router_decisions_total{pool=\"p\",reason=\"" +
                                std::string(reason) + "\"} 0"));
  }
  for (const char* cause : {"gap", "epoch", "malformed", "count", "reconnect"}) {
    EXPECT_THAT(page, HasSubstr("banyan_router_worker_resyncs_total{cause=\"" + std::string(cause) +
                                "\",pool=\"p\",worker=\"w0\"} 0"));
  }
}

TEST(RouterMetricsTest, ARepeatedPictureKeepsWhatWasCounted) {
  rpc::MetricsRegistry registry(RouterMetricSpecs());
  RouterMetrics metrics(registry);
  const std::vector<v1::Worker> workers = {WorkerIn("p", "w0")};
  metrics.SetWorkers(workers);
  metrics.CountRetry("p", RetryCause::kRejected);
  metrics.CountResync("p", "w0", ResyncCause::kGap);
  metrics.SetWorkers(workers);
  EXPECT_THAT(registry.Render(),
              HasSubstr("banyan_router_retries_total{cause=\"rejected\",pool=\"p\"} 1"));
  EXPECT_THAT(registry.Render(), HasSubstr("banyan_router_worker_resyncs_total{cause=\"gap\","
                                           "pool=\"p\",worker=\"w0\"} 1"));
}

}  // namespace
}  // namespace banyan::router
