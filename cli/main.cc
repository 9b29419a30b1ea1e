// banyan: the command line. It links no kernels; `banyan serve` starts banyan-router and
// banyan-worker as processes.
#include <algorithm>
#include <array>
#include <cstdio>
#include <string>

#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "common/rpc/command_line.h"
#include "common/rpc/server.h"

namespace banyan::cli {
namespace {

rpc::ExitCode RunVersion(int /*argc*/, const char* const* /*argv*/) {
  rpc::PrintVersion("banyan");
  return rpc::ExitCode::kOk;
}

constexpr std::array<Command, 8> kCommands = {{
    {"serve", "Start a whole cluster on this machine: a router and N workers", RunServe},
    {"generate", "Continue a text", RunGenerate},
    {"chat", "Talk to the model", RunChat},
    {"workers", "List the cluster's workers", RunWorkers},
    {"models", "List the models that are served", RunModels},
    {"explain", "Show where a prompt would be sent, and why", RunExplain},
    {"drain", "Empty a worker, or the router, before it stops", RunDrain},
    {"version", "Print the version", RunVersion},
}};

void PrintUsage(std::FILE* out) {
  std::fprintf(
      out,
      "Banyan serves large language models from a cluster.\n\nusage: banyan COMMAND [flags]\n\n");
  for (const Command& command : kCommands) {
    std::fprintf(out, "  %-10s %s\n", std::string(command.name).c_str(),
                 std::string(command.summary).c_str());
  }
  std::fprintf(out,
               "\n`banyan COMMAND --help` describes a command. Every flag can be set by an "
               "environment variable.\n"
               "\n  banyan serve &\n  banyan chat --message \"What is the capital of France?\"\n");
}

int Main(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (name.empty() || name == "--help" || name == "-h" || name == "help") {
    PrintUsage(name.empty() ? stderr : stdout);
    return static_cast<int>(name.empty() ? rpc::ExitCode::kUsage : rpc::ExitCode::kOk);
  }
  const std::string_view wanted = name == "--version" ? "version" : name;
  const auto command = std::ranges::find(kCommands, wanted, &Command::name);
  if (command != kCommands.end()) {
    rpc::RouteGrpcLog();
    return static_cast<int>(command->run(argc - 1, argv + 1));
  }
  std::vector<std::string> known;
  for (const Command& each : kCommands) known.emplace_back(each.name);
  std::string message = absl::StrFormat("no command is called \"%s\"", wanted);
  if (const auto nearest = rpc::NearestName(wanted, known)) {
    message += absl::StrFormat("; did you mean \"%s\"?", *nearest);
  }
  return static_cast<int>(FailUsage(message + " (banyan --help lists them)"));
}

}  // namespace

std::span<const Command> Commands() { return kCommands; }

rpc::ExitCode Fail(const absl::Status& status) {
  std::fprintf(stderr, "banyan: %s\n", std::string(status.message()).c_str());
  return rpc::ExitCodeOf(status);
}

rpc::ExitCode FailUsage(std::string_view message) {
  std::fprintf(stderr, "banyan: %s\n", std::string(message).c_str());
  return rpc::ExitCode::kUsage;
}

}  // namespace banyan::cli

int main(int argc, char** argv) { return banyan::cli::Main(argc, argv); }
