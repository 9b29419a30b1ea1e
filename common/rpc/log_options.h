// The flags about logging that every server program has. Plain data.
#pragma once

#include <string>

#include "common/rpc/option_table.h"

namespace banyan::rpc {

struct LogOptions {
  std::string format = "text";  // text, json
  std::string level = "info";   // debug, info, warning, error
};

// Adds --log-format and --log-level, under "Log". `options` must outlive the table.
void AddLogOptions(OptionTable& table, LogOptions& options);

// Sets the process's log up as asked. Call once, before threads start.
void ConfigureLog(const LogOptions& options);

}  // namespace banyan::rpc
