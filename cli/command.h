// The commands of `banyan`. Each takes the arguments after "banyan" (argv[0] is the command's own
// name), prints data on stdout and everything else on stderr, and returns the exit code of the
// process.
#pragma once

#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "common/rpc/exit_code.h"
#include "common/rpc/option_table.h"

namespace banyan::cli {

struct Command {
  std::string_view name;
  std::string_view summary;  // one line of `banyan --help`
  rpc::ExitCode (*run)(int argc, const char* const* argv);
};

// All commands, in the order of --help.
std::span<const Command> Commands();

rpc::ExitCode RunServe(int argc, const char* const* argv);
rpc::ExitCode RunGenerate(int argc, const char* const* argv);
rpc::ExitCode RunChat(int argc, const char* const* argv);
rpc::ExitCode RunWorkers(int argc, const char* const* argv);
rpc::ExitCode RunModels(int argc, const char* const* argv);
rpc::ExitCode RunExplain(int argc, const char* const* argv);
rpc::ExitCode RunDrain(int argc, const char* const* argv);

// Prints "banyan: MESSAGE" on stderr and returns the code for it.
rpc::ExitCode Fail(const absl::Status& status);
rpc::ExitCode FailUsage(std::string_view message);

}  // namespace banyan::cli
