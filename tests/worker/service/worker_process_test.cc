// A whole worker in this process: tiny model, reference backend, real engine, real ports.
#include "worker/service/worker_process.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include "banyan/v1/worker_service.grpc.pb.h"
#include "common/base/block_hash.h"
#include "common/rpc/channel.h"
#include "common/rpc/errors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/tiny_model.h"

namespace banyan::worker {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

// The model is written once for all tests.
const std::string& ModelPath() {
  static const std::string path = [] {
    const auto dir = std::filesystem::path(::testing::TempDir()) /
                     ("banyan_worker_process_" + std::to_string(getpid()));
    EXPECT_TRUE(testing::WriteTinyModel({}, dir).ok());
    return dir.string();
  }();
  return path;
}

WorkerOptions TestOptions() {
  WorkerOptions options;
  options.model = ModelPath();
  options.worker_id = "w0";
  options.backend = "reference";
  options.dtype = "f32";
  options.kv_cache_tokens = 4096;
  options.max_step_tokens = 64;
  options.listen = options.metrics_listen = options.health_listen = "127.0.0.1:0";
  return options;
}

// Tokens of one call, and how it ended.
struct Answer {
  std::vector<uint32_t> tokens;
  v1::FinishReason reason = v1::FINISH_REASON_UNSPECIFIED;
  v1::Usage usage;
  absl::Status status;
};

class WorkerProcessTest : public ::testing::Test {
 protected:
  using Reader = std::unique_ptr<grpc::ClientReader<v1::GenerateTokensResponse>>;

  void Start(const WorkerOptions& options = TestOptions()) {
    auto started = WorkerProcess::Start(options);
    ASSERT_TRUE(started.ok()) << started.status();
    process_ = *std::move(started);
    ASSERT_TRUE(process_->Announce().ok());
    stub_ = v1::WorkerService::NewStub(
        rpc::CreateChannel(process_->address().ToString(), rpc::ChannelProfile::kClient));
  }
  static std::unique_ptr<grpc::ClientContext> Context(int seconds = 60) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_wait_for_ready(true);
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(seconds));
    return context;
  }
  v1::GenerateTokensRequest Request(const std::string& id, uint32_t max_tokens) const {
    v1::GenerateTokensRequest request;
    request.set_request_id(id);
    request.set_router_id(9);
    request.set_dispatch_sequence(++dispatches_);
    request.set_model_fingerprint(process_->identity().model_fingerprint);
    for (uint32_t i = 0; i < 40; ++i) request.add_prompt_token_ids(3 + i);
    request.mutable_sampling()->set_seed(42);
    request.mutable_sampling()->set_max_tokens(max_tokens);
    request.mutable_sampling()->set_ignore_eos(true);
    request.set_priority(v1::PRIORITY_INTERACTIVE);
    request.set_cache_salt(std::string(16, '\0'));
    return request;
  }
  static Answer ReadAll(Reader& reader) {
    Answer answer;
    v1::GenerateTokensResponse message;
    while (reader->Read(&message)) {
      for (const v1::SampleTokens& sample : message.samples()) {
        answer.tokens.insert(answer.tokens.end(), sample.token_ids().begin(),
                             sample.token_ids().end());
        answer.reason = sample.finish_reason();
      }
      if (message.has_usage()) answer.usage = message.usage();
    }
    answer.status = rpc::FromGrpcStatus(reader->Finish());
    return answer;
  }
  Answer Generate(const v1::GenerateTokensRequest& request) {
    const auto context = Context();
    Reader reader = stub_->GenerateTokens(context.get(), request);
    return ReadAll(reader);
  }
  // Reads load reports until one shows that nothing runs and no block is held.
  void WaitUntilEmpty() {
    const auto context = Context();
    v1::WatchLoadRequest request;
    request.set_router_id(9);
    const auto reader = stub_->WatchLoad(context.get(), request);
    v1::WatchLoadResponse report;
    do {
      ASSERT_TRUE(reader->Read(&report));
    } while (report.running_sequences() != 0 || report.kv_blocks_used() != 0);
    context->TryCancel();
  }

  std::unique_ptr<WorkerProcess> process_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  mutable uint64_t dispatches_ = 0;
};

TEST_F(WorkerProcessTest, GeneratesWithUsageAndEqualSeedsAgree) {
  Start();
  const Answer first = Generate(Request("r1", 12));
  ASSERT_TRUE(first.status.ok()) << first.status;
  EXPECT_EQ(first.tokens.size(), 12u);
  EXPECT_EQ(first.reason, v1::FINISH_REASON_LENGTH);
  EXPECT_EQ(first.usage.prompt_tokens(), 40u);
  EXPECT_EQ(first.usage.cached_tokens(), 0u);
  EXPECT_EQ(first.usage.completion_tokens(), 12u);
  // The prefix cache serves the second one, with the same result.
  const Answer second = Generate(Request("r2", 12));
  EXPECT_EQ(second.usage.cached_tokens(), 32u);
  EXPECT_THAT(second.tokens, ElementsAreArray(first.tokens));
  v1::GenerateTokensRequest other = Request("r3", 12);
  other.mutable_sampling()->set_seed(43);
  EXPECT_NE(Generate(other).tokens, first.tokens);
}

TEST_F(WorkerProcessTest, AResumedStreamContinuesAsIfItHadRunHere) {
  Start();
  const Answer whole = Generate(Request("r1", 12));
  ASSERT_EQ(whole.tokens.size(), 12u);
  v1::GenerateTokensRequest resumed = Request("r2", 12);
  resumed.mutable_resume()->set_attempt(1);
  v1::SampleProgress& progress = *resumed.mutable_resume()->add_samples();
  for (int i = 0; i < 5; ++i) progress.add_output_token_ids(whole.tokens[static_cast<size_t>(i)]);
  const Answer rest = Generate(resumed);
  ASSERT_TRUE(rest.status.ok()) << rest.status;
  EXPECT_THAT(rest.tokens, ElementsAreArray(whole.tokens.begin() + 5, whole.tokens.end()));
}

TEST_F(WorkerProcessTest, CancellingFreesEveryBlock) {
  Start();
  const auto context = Context();
  Reader reader = stub_->GenerateTokens(context.get(), Request("r1", 900));
  v1::GenerateTokensResponse message;
  ASSERT_TRUE(reader->Read(&message));
  context->TryCancel();
  EXPECT_EQ(ReadAll(reader).status.code(), absl::StatusCode::kCancelled);
  WaitUntilEmpty();
}

TEST_F(WorkerProcessTest, ADeadlineEndsTheRequestAndFreesEveryBlock) {
  Start();
  const auto context = Context();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
  v1::GenerateTokensRequest request = Request("r1", 900);
  request.mutable_sampling()->set_num_samples(16);
  Reader reader = stub_->GenerateTokens(context.get(), request);
  EXPECT_EQ(ReadAll(reader).status.code(), absl::StatusCode::kDeadlineExceeded);
  WaitUntilEmpty();
}

TEST_F(WorkerProcessTest, StoppingTheOnlySampleEndsTheRequestWell) {
  Start();
  const auto context = Context();
  Reader reader = stub_->GenerateTokens(context.get(), Request("r1", 900));
  v1::GenerateTokensResponse message;
  ASSERT_TRUE(reader->Read(&message));
  v1::StopSamplesRequest stop;
  stop.set_request_id("r1");
  stop.add_indices(0);
  v1::StopSamplesResponse stopped;
  ASSERT_TRUE(stub_->StopSamples(Context().get(), stop, &stopped).ok());
  const Answer rest = ReadAll(reader);
  EXPECT_TRUE(rest.status.ok()) << rest.status;
  EXPECT_LT(rest.tokens.size(), 899u);
}

TEST_F(WorkerProcessTest, CacheEventsNameTheBlocksThatARouterWouldCompute) {
  Start();
  const auto context = Context();
  const auto watch = stub_->WatchCache(context.get(), {});
  v1::WatchCacheResponse message;
  ASSERT_TRUE(watch->Read(&message));
  ASSERT_TRUE(message.has_snapshot());
  uint64_t sequence = message.sequence();
  const v1::GenerateTokensRequest request = Request("r1", 4);
  EXPECT_TRUE(Generate(request).status.ok());
  std::vector<TokenId> prompt(request.prompt_token_ids().begin(), request.prompt_token_ids().end());
  const std::vector<BlockHash> expected = HashBlocks({}, prompt, 16);
  std::string hashes;
  while (hashes.size() < 16 * expected.size()) {
    ASSERT_TRUE(watch->Read(&message));
    if (!message.has_delta()) continue;
    EXPECT_EQ(message.sequence(), ++sequence);
    for (const v1::CacheChange& change : message.delta().changes()) {
      hashes += change.stored().hashes();
    }
  }
  EXPECT_EQ(hashes.substr(0, 32), expected[0].ToBytes() + expected[1].ToBytes());
  context->TryCancel();
}

TEST_F(WorkerProcessTest, TheLivePageIsTheListBothWays) {
  Start();
  EXPECT_TRUE(Generate(Request("r1", 4)).status.ok());
  WaitUntilEmpty();
  const std::string page = process_->metrics().Render();
  for (const rpc::MetricSpec& spec : process_->metrics().specs()) {
    EXPECT_THAT(page, HasSubstr("# TYPE " + std::string(spec.name) + " "));
  }
  EXPECT_THAT(page, HasSubstr("banyan_worker_generation_tokens_total 4\n"));
  EXPECT_THAT(page, HasSubstr("worker=\"w0\""));
}

// Runs the process on a thread, as main does.
class RunningWorkerTest : public WorkerProcessTest {
 protected:
  void StartRunning() {
    Start();
    runner_ = std::thread([this] { code_ = process_->Run(); });
  }
  rpc::ExitCode Join() {
    runner_.join();
    return code_;
  }

 private:
  std::thread runner_;
  rpc::ExitCode code_ = rpc::ExitCode::kFailed;
};

TEST_F(RunningWorkerTest, AnIdleWorkerStopsAtOnce) {
  StartRunning();
  process_->RequestStop(WorkerProcess::StopMode::kFinish);
  EXPECT_EQ(Join(), rpc::ExitCode::kOk);
}

TEST_F(RunningWorkerTest, RunningRequestsFinishBeforeItStops) {
  StartRunning();
  const auto context = Context();
  Reader reader = stub_->GenerateTokens(context.get(), Request("r1", 200));
  v1::GenerateTokensResponse message;
  ASSERT_TRUE(reader->Read(&message));
  process_->RequestStop(WorkerProcess::StopMode::kFinish);
  const Answer rest = ReadAll(reader);
  EXPECT_TRUE(rest.status.ok()) << rest.status;
  EXPECT_EQ(rest.usage.completion_tokens(), 200u);
  EXPECT_EQ(Join(), rpc::ExitCode::kOk);
}

TEST_F(RunningWorkerTest, HandOverEndsRunningRequestsAfterTheirTokens) {
  StartRunning();
  const auto context = Context();
  v1::GenerateTokensRequest request = Request("r1", 900);
  Reader reader = stub_->GenerateTokens(context.get(), request);
  v1::GenerateTokensResponse message;
  ASSERT_TRUE(reader->Read(&message));
  process_->RequestStop(WorkerProcess::StopMode::kHandOver);
  const Answer rest = ReadAll(reader);
  EXPECT_EQ(rpc::ReasonOf(rest.status), rpc::ErrorReason::kWorkerDraining) << rest.status;
  EXPECT_LT(rest.tokens.size(), 899u);
  EXPECT_EQ(Join(), rpc::ExitCode::kOk);
}

TEST(WorkerStartTest, PortsAreInThePortFile) {
  WorkerOptions options = TestOptions();
  options.port_file = ModelPath() + "/ports.json";
  const auto process = WorkerProcess::Start(options);
  ASSERT_TRUE(process.ok()) << process.status();
  ASSERT_TRUE((*process)->Announce().ok());
  std::ifstream file(options.port_file);
  std::string text;
  std::getline(file, text);
  EXPECT_EQ(text, "{\"worker\":\"" + (*process)->address().ToString() + "\",\"metrics\":\"" +
                      (*process)->metrics_address().ToString() + "\",\"health\":\"" +
                      (*process)->health_address().ToString() + "\"}");
}

TEST(WorkerStartTest, APortFileThatCannotBeWrittenIsAnError) {
  WorkerOptions options = TestOptions();
  options.port_file = "/nowhere/ports.json";
  const auto process = WorkerProcess::Start(options);
  ASSERT_TRUE(process.ok()) << process.status();
  const absl::Status status = (*process)->Announce();
  EXPECT_EQ(rpc::ExitCodeOf(status), rpc::ExitCode::kConfiguration);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--port-file"));
}

TEST(WorkerStartTest, AStalePortFileIsGoneWhenTheWorkerRefuses) {
  WorkerOptions options = TestOptions();
  options.port_file = ModelPath() + "/stale.json";
  std::ofstream(options.port_file) << "{}";
  options.model = "/nowhere/model.gguf";
  EXPECT_FALSE(WorkerProcess::Start(options).ok());
  EXPECT_FALSE(std::filesystem::exists(options.port_file));
}

struct BadStart {
  const char* name;
  std::function<void(WorkerOptions&)> spoil;
  rpc::ExitCode code;
  const char* words;
};

class BadStartTest : public ::testing::TestWithParam<BadStart> {};

TEST_P(BadStartTest, IsOneSentenceAndAnExitCode) {
  WorkerOptions options = TestOptions();
  GetParam().spoil(options);
  const auto process = WorkerProcess::Start(options);
  ASSERT_FALSE(process.ok());
  EXPECT_EQ(rpc::ExitCodeOf(process.status()), GetParam().code) << process.status();
  EXPECT_THAT(std::string(process.status().message()), HasSubstr(GetParam().words));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadStartTest,
    ::testing::Values(
        BadStart{"NoModel", [](WorkerOptions& o) { o.model = ""; }, rpc::ExitCode::kConfiguration,
                 "--model is missing"},
        BadStart{"MissingModel", [](WorkerOptions& o) { o.model = "/nowhere/model.gguf"; },
                 rpc::ExitCode::kConfiguration, "/nowhere/model.gguf"},
        BadStart{"BadAddress", [](WorkerOptions& o) { o.listen = "here"; },
                 rpc::ExitCode::kConfiguration, "--listen"},
        BadStart{"Exposed", [](WorkerOptions& o) { o.listen = "0.0.0.0:0"; },
                 rpc::ExitCode::kConfiguration, "--insecure"},
        BadStart{"ExposedMetrics", [](WorkerOptions& o) { o.metrics_listen = "0.0.0.0:0"; },
                 rpc::ExitCode::kConfiguration, "--insecure"},
        BadStart{"NoSuchAddress",
                 [](WorkerOptions& o) {
                   o.listen = "192.0.2.1:0";
                   o.insecure = true;
                 },
                 rpc::ExitCode::kUnreachable, "192.0.2.1"},
        BadStart{"ContextTooLong", [](WorkerOptions& o) { o.context_length = 1 << 23; },
                 rpc::ExitCode::kConfiguration, "context_length"},
        BadStart{"NoMemory", [](WorkerOptions& o) { o.kv_cache_tokens = int64_t{1} << 34; },
                 rpc::ExitCode::kTryLater, "exceed"}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace banyan::worker
