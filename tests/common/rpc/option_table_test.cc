#include "common/rpc/option_table.h"

#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace banyan::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct TestOptions {
  std::string model;
  int64_t threads = 0;
  std::optional<int64_t> kv_cache_bytes;
  std::optional<int64_t> context_length;
  double ratio = 0.5;
  std::string dtype = "bf16";
  bool insecure = false;
  std::vector<std::string> workers;
  std::string prompt;
};

OptionTable MakeTable(TestOptions& options) {
  OptionTable table("banyan test", "Tests the option table.");
  table.Section("Model");
  table.Text("model", "PATH", options.model, "A file or a directory.");
  table.Integer("threads", "N", {0, 1024}, options.threads, "Compute threads; 0: all cores.");
  table.Bytes("kv-cache-bytes", options.kv_cache_bytes, "Memory for KV.");
  table.Integer("context-length", "N", {1, 1 << 20}, options.context_length, "Tokens.");
  table.Real("ratio", "X", {0, 1}, options.ratio, "A ratio.");
  table.Choice("dtype", {"f32", "bf16"}, options.dtype, "Activations.");
  table.Section("Network");
  table.Switch("insecure", options.insecure, "Serve in plaintext.");
  table.List("worker", "HOST:PORT", options.workers, "A worker.");
  table.Positional("PROMPT", OptionTable::Need::kOptional, options.prompt, "What to say.");
  table.Example("banyan test --model m.gguf", "Serves a model.");
  return table;
}

class OptionTableTest : public ::testing::Test {
 protected:
  absl::StatusOr<ParseOutcome> Parse(std::vector<const char*> args) {
    args.insert(args.begin(), "test");
    return table_.Parse(static_cast<int>(args.size()), args.data());
  }
  std::string Failure(std::vector<const char*> args) {
    const auto outcome = Parse(std::move(args));
    EXPECT_EQ(outcome.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(outcome.status().message());
  }
  void SetEnv(const char* name, const char* value) {
    ::setenv(name, value, 1);
    set_.push_back(name);
  }
  void TearDown() override {
    for (const char* name : set_) ::unsetenv(name);
  }

  TestOptions options_;
  OptionTable table_ = MakeTable(options_);
  std::vector<const char*> set_;
};

TEST_F(OptionTableTest, ParsesEveryKindOfOption) {
  const auto outcome =
      Parse({"--model", "m.gguf", "--threads=4", "--kv-cache-bytes", "2G", "--ratio", "0.25",
             "--dtype", "f32", "--insecure", "--worker", "a:1", "--worker", "b:2", "hello there"});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(*outcome, ParseOutcome::kRun);
  EXPECT_EQ(options_.model, "m.gguf");
  EXPECT_EQ(options_.threads, 4);
  EXPECT_EQ(options_.kv_cache_bytes, int64_t{2} << 30);
  EXPECT_EQ(options_.ratio, 0.25);
  EXPECT_EQ(options_.dtype, "f32");
  EXPECT_TRUE(options_.insecure);
  EXPECT_THAT(options_.workers, ElementsAre("a:1", "b:2"));
  EXPECT_EQ(options_.prompt, "hello there");
  EXPECT_EQ(options_.context_length, std::nullopt);
}

TEST_F(OptionTableTest, EnvironmentFillsWhatFlagsLeave) {
  SetEnv("BANYAN_MODEL", "env.gguf");
  SetEnv("BANYAN_THREADS", "8");
  SetEnv("BANYAN_INSECURE", "true");
  SetEnv("BANYAN_WORKER", "a:1,b:2");
  SetEnv("BANYAN_DTYPE", "");
  ASSERT_TRUE(Parse({"--threads", "2"}).ok());
  EXPECT_EQ(options_.model, "env.gguf");
  EXPECT_EQ(options_.threads, 2);
  EXPECT_TRUE(options_.insecure);
  EXPECT_THAT(options_.workers, ElementsAre("a:1", "b:2"));
  EXPECT_EQ(options_.dtype, "bf16");
  EXPECT_EQ(table_.options()[0].origin, OptionOrigin::kEnvironment);
  EXPECT_EQ(table_.options()[1].origin, OptionOrigin::kFlag);
  EXPECT_EQ(table_.options()[5].origin, OptionOrigin::kDefault);
}

TEST_F(OptionTableTest, BadValuesNameFlagWantedAndValue) {
  EXPECT_EQ(Failure({"--threads", "x"}), "--threads: want an integer in [0, 1024], got \"x\"");
  EXPECT_EQ(Failure({"--threads", "1025"}),
            "--threads: want an integer in [0, 1024], got \"1025\"");
  EXPECT_EQ(Failure({"--dtype", "fp8"}), "--dtype: want one of f32|bf16, got \"fp8\"");
  EXPECT_EQ(Failure({"--ratio", "nan"}), "--ratio: want a number in [0, 1], got \"nan\"");
  EXPECT_EQ(Failure({"--kv-cache-bytes", "lots"}),
            "--kv-cache-bytes: want a size such as 512M or 4G, got \"lots\"");
}

TEST_F(OptionTableTest, BadVariablesNameTheVariable) {
  SetEnv("BANYAN_THREADS", "many");
  EXPECT_EQ(Failure({}), "BANYAN_THREADS: want an integer in [0, 1024], got \"many\"");
}

TEST_F(OptionTableTest, UnknownFlagsSuggestTheNearest) {
  EXPECT_EQ(Failure({"--thread", "4"}),
            "unknown flag \"--thread\", did you mean --threads?; see banyan test --help");
  EXPECT_EQ(Failure({"--zzzzzzzzzz=1"}), "unknown flag \"--zzzzzzzzzz=1\"; see banyan test --help");
  EXPECT_THAT(Failure({"one", "two"}), HasSubstr("unexpected argument \"two\""));
}

TEST_F(OptionTableTest, SingleValuesMayNotRepeat) {
  EXPECT_EQ(Failure({"--threads", "1", "--threads", "2"}), "--threads: given more than once");
}

TEST_F(OptionTableTest, MissingValueIsAnError) {
  EXPECT_THAT(Failure({"--model"}), HasSubstr("--model"));
}

TEST_F(OptionTableTest, RequiredArgumentMustBeThere) {
  OptionTable table("banyan chat", "Chats.");
  std::string name;
  table.Positional("NAME", OptionTable::Need::kRequired, name, "A name.");
  const char* args[] = {"chat"};
  EXPECT_EQ(table.Parse(1, args).status().message(), "NAME is missing; see banyan chat --help");
}

TEST_F(OptionTableTest, HelpAndVersionWinOverEverything) {
  EXPECT_EQ(*Parse({"--help", "--threads", "x"}), ParseOutcome::kHelp);
  EXPECT_EQ(*Parse({"-h"}), ParseOutcome::kHelp);
  EXPECT_EQ(*Parse({"--version"}), ParseOutcome::kVersion);
}

TEST_F(OptionTableTest, HelpFitsEightyColumnsAndShowsEverything) {
  const std::string help = table_.Help();
  size_t begin = 0;
  while (begin < help.size()) {
    const size_t end = help.find('\n', begin);
    ASSERT_NE(end, std::string::npos);
    EXPECT_LE(end - begin, 80u) << help.substr(begin, end - begin);
    begin = end + 1;
  }
  for (const char* part :
       {"Usage: banyan test [FLAGS] [PROMPT]", "Model:", "Network:", "--dtype f32|bf16",
        "Default: bf16.", "[BANYAN_KV_CACHE_BYTES]", "May be repeated.", "Examples:"}) {
    EXPECT_THAT(help, HasSubstr(part));
  }
}

TEST(ParseByteSizeTest, TakesSuffixesAndRefusesTheRest) {
  EXPECT_EQ(ParseByteSize("0"), 0);
  EXPECT_EQ(ParseByteSize("512M"), int64_t{512} << 20);
  EXPECT_EQ(ParseByteSize("4GiB"), int64_t{4} << 30);
  EXPECT_EQ(ParseByteSize("1K"), 1024);
  for (const char* bad : {"", "G", "-1", "1.5G", "4GX", "4 G", "9000000000000T", "1iB"}) {
    EXPECT_EQ(ParseByteSize(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace banyan::rpc
