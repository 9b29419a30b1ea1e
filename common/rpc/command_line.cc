#include "common/rpc/command_line.h"

#include <cstdio>
#include <string>

#include "absl/strings/str_format.h"
#include "common/rpc/build_info.h"

namespace banyan::rpc {

void PrintVersion(std::string_view program) { absl::PrintF("%s %s\n", program, FullVersion()); }

std::optional<ExitCode> ParseCommandLine(std::string_view program, OptionTable& table, int argc,
                                         const char* const* argv) {
  const absl::StatusOr<ParseOutcome> outcome = table.Parse(argc, argv);
  if (!outcome.ok()) {
    absl::FPrintF(stderr, "%s: %s\n", program, outcome.status().message());
    return ExitCode::kUsage;
  }
  switch (*outcome) {
    case ParseOutcome::kRun:
      return std::nullopt;
    case ParseOutcome::kHelp:
      std::fputs(table.Help().c_str(), stdout);
      return ExitCode::kOk;
    case ParseOutcome::kVersion:
      break;
  }
  PrintVersion(program);
  return ExitCode::kOk;
}

}  // namespace banyan::rpc
