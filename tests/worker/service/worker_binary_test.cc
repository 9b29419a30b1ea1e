// The program banyan-worker as an operator sees it: output, exit codes, signals.
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>

#include "banyan/v1/worker_service.grpc.pb.h"
#include "common/base/check.h"
#include "common/rpc/channel.h"
#include "common/rpc/errors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/tiny_model.h"

namespace banyan::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string BinaryPath() {
  const char* dir = std::getenv("BANYAN_BINARY_DIR");
  return (std::filesystem::path(dir == nullptr ? "." : dir) / "worker/service/banyan-worker")
      .string();
}

const std::string& ModelPath() {
  static const std::string path = [] {
    const auto dir = std::filesystem::path(::testing::TempDir()) /
                     ("banyan_worker_binary_" + std::to_string(getpid()));
    EXPECT_TRUE(testing::WriteTinyModel({}, dir).ok());
    return dir.string();
  }();
  return path;
}

// A child process whose stdout and stderr are read through pipes.
class Child {
 public:
  explicit Child(std::vector<std::string> args) {
    args.insert(args.begin(), BinaryPath());
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    std::array<int, 2> out{};
    std::array<int, 2> err{};
    BANYAN_CHECK(pipe(out.data()) == 0 && pipe(err.data()) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
    for (const int fd : {out[0], out[1], err[0], err[1]}) {
      posix_spawn_file_actions_addclose(&actions, fd);
    }
    BANYAN_CHECK_EQ(posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0)
        << argv[0];
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(err[1]);
    out_ = fdopen(out[0], "r");
    err_ = fdopen(err[0], "r");
  }
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      Wait();
    }
    std::fclose(out_);
    std::fclose(err_);
  }

  pid_t pid() const { return pid_; }
  std::string ReadOut() { return ReadAll(out_); }
  std::string ReadErr() { return ReadAll(err_); }
  // Lines of stderr up to and with the first that contains `words`; empty at the end of the stream.
  std::string ReadErrUntil(const std::string& words) {
    std::array<char, 16384> line{};
    while (std::fgets(line.data(), static_cast<int>(line.size()), err_) != nullptr) {
      if (std::string_view(line.data()).find(words) != std::string_view::npos) return line.data();
    }
    return "";
  }
  // Exit code; -1 when a signal ended it.
  int Wait() {
    int status = 0;
    BANYAN_CHECK_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  static std::string ReadAll(std::FILE* file) {
    std::string text;
    std::array<char, 4096> buffer{};
    size_t count = 0;
    while ((count = std::fread(buffer.data(), 1, buffer.size(), file)) > 0) {
      text.append(buffer.data(), count);
    }
    return text;
  }

  pid_t pid_ = -1;
  std::FILE* out_ = nullptr;
  std::FILE* err_ = nullptr;
};

std::vector<std::string> ServingArgs() {
  return {"--model",          ModelPath(),   "--backend",       "reference",
          "--dtype",          "f32",         "--listen",        "127.0.0.1:0",
          "--metrics-listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0",
          "--log-format",     "json"};
}

// The value of a string field of a JSON log line.
std::string FieldOf(const std::string& line, const std::string& name) {
  const std::string key = "\"" + name + "\":\"";
  const size_t at = line.find(key);
  if (at == std::string::npos) return "";
  const size_t begin = at + key.size();
  return line.substr(begin, line.find('"', begin) - begin);
}

TEST(WorkerBinaryTest, HelpIsDataOnStdout) {
  Child child({"--help"});
  EXPECT_THAT(child.ReadOut(), HasSubstr("Usage: banyan-worker [FLAGS]"));
  EXPECT_THAT(child.ReadErr(), IsEmpty());
  EXPECT_EQ(child.Wait(), 0);
}

TEST(WorkerBinaryTest, VersionIsOneLine) {
  Child child({"--version"});
  EXPECT_THAT(child.ReadOut(), ::testing::MatchesRegex("banyan-worker [0-9.]+.*\n"));
  EXPECT_EQ(child.Wait(), 0);
}

TEST(WorkerBinaryTest, AnUnknownFlagIsAUsageError) {
  Child child({"--modle", "x"});
  EXPECT_THAT(child.ReadErr(), HasSubstr("did you mean --model?"));
  EXPECT_EQ(child.Wait(), 2);
}

TEST(WorkerBinaryTest, AMissingModelIsABadConfiguration) {
  std::vector<std::string> args = ServingArgs();
  args[1] = "/nowhere/model.gguf";
  Child child(args);
  const std::string line = child.ReadErrUntil("worker_refuses_to_start");
  EXPECT_THAT(FieldOf(line, "error"), HasSubstr("/nowhere/model.gguf"));
  EXPECT_EQ(child.Wait(), 78);
}

// A serving child and a stream that runs on it.
class ServingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ready_ = child_.ReadErrUntil("worker_ready");
    ASSERT_THAT(ready_, HasSubstr("worker_ready"));
    stub_ = v1::WorkerService::NewStub(
        rpc::CreateChannel(FieldOf(ready_, "listen"), rpc::ChannelProfile::kClient));
  }
  // Begins a request and reads its first tokens.
  void BeginStream(uint32_t num_samples, uint32_t max_tokens) {
    context_.set_wait_for_ready(true);
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    v1::GenerateTokensRequest request;
    request.set_request_id("r1");
    request.set_model_fingerprint(FieldOf(ready_, "fingerprint"));
    for (const uint32_t token : {5u, 6u, 7u}) request.add_prompt_token_ids(token);
    request.mutable_sampling()->set_seed(1);
    request.mutable_sampling()->set_max_tokens(max_tokens);
    request.mutable_sampling()->set_num_samples(num_samples);
    request.mutable_sampling()->set_ignore_eos(true);
    request.set_priority(v1::PRIORITY_BATCH);
    request.set_cache_salt(std::string(16, '\0'));
    reader_ = stub_->GenerateTokens(&context_, request);
    v1::GenerateTokensResponse first;
    ASSERT_TRUE(reader_->Read(&first));
  }
  absl::Status EndOfStream() {
    v1::GenerateTokensResponse message;
    while (reader_->Read(&message)) {
    }
    return rpc::FromGrpcStatus(reader_->Finish());
  }

  Child child_{ServingArgs()};
  std::string ready_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::GenerateTokensResponse>> reader_;
};

TEST_F(ServingTest, SigtermLetsRunningRequestsFinish) {
  BeginStream(1, 300);
  kill(child_.pid(), SIGTERM);
  EXPECT_TRUE(EndOfStream().ok());
  EXPECT_EQ(child_.Wait(), 0);
}

TEST_F(ServingTest, ASecondSignalHandsOver) {
  BeginStream(16, 1000);  // seconds of work
  kill(child_.pid(), SIGTERM);
  ASSERT_THAT(child_.ReadErrUntil("worker_stopping"), HasSubstr("\"mode\":\"finish\""));
  kill(child_.pid(), SIGINT);
  EXPECT_EQ(rpc::ReasonOf(EndOfStream()), rpc::ErrorReason::kWorkerDraining);
  EXPECT_EQ(child_.Wait(), 0);
}

TEST_F(ServingTest, ATakenPortIsFoundBeforeLoading) {
  std::vector<std::string> args = ServingArgs();
  args[7] = FieldOf(ready_, "listen");
  Child second(args);
  const std::string log = second.ReadErr();
  EXPECT_THAT(log, HasSubstr("is in use by another process"));
  EXPECT_THAT(log, ::testing::Not(HasSubstr("worker_plan")));
  EXPECT_EQ(second.Wait(), 69);
}

}  // namespace
}  // namespace banyan::worker
