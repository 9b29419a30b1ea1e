// From argv to options, or to the end of the process: what every program does with --help,
// --version and bad flags.
#pragma once

#include <optional>
#include <string_view>

#include "common/rpc/exit_code.h"
#include "common/rpc/option_table.h"

namespace banyan::rpc {

// Fills the table's targets. Where the program is not to run, everything has been printed (help and
// version on stdout, "PROGRAM: ERROR" on stderr) and the exit code is returned.
std::optional<ExitCode> ParseCommandLine(std::string_view program, OptionTable& table, int argc,
                                         const char* const* argv);

// Prints "PROGRAM MAJOR.MINOR.PATCH (commit)" on stdout.
void PrintVersion(std::string_view program);

}  // namespace banyan::rpc
