#include "common/rpc/log_options.h"

#include "common/base/check.h"
#include "common/base/log.h"

namespace banyan::rpc {

void AddLogOptions(OptionTable& table, LogOptions& options) {
  table.Section("Log");
  table.Choice("log-format", {"text", "json"}, options.format,
               "Lines on stderr; json for machines.");
  table.Choice("log-level", {"debug", "info", "warning", "error"}, options.level,
               "Least severity that is written.");
}

void ConfigureLog(const LogOptions& options) {
  LogSeverity severity = LogSeverity::kInfo;
  BANYAN_CHECK(ParseLogSeverity(options.level, severity));
  banyan::ConfigureLog(options.format == "json" ? LogFormat::kJson : LogFormat::kText, severity);
}

}  // namespace banyan::rpc
