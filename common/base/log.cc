#include "common/base/log.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <ctime>

#include "absl/strings/str_format.h"

namespace banyan {
namespace {

constexpr size_t kLineBytesMax = 8192;

struct LogConfig {
  LogFormat format = LogFormat::kText;
  LogSeverity minimum = LogSeverity::kInfo;
};

LogConfig& Config() {
  static LogConfig config;
  return config;
}

const char* SeverityName(LogSeverity severity) {
  switch (severity) {
    case LogSeverity::kDebug:
      return "debug";
    case LogSeverity::kInfo:
      return "info";
    case LogSeverity::kWarning:
      return "warning";
    case LogSeverity::kError:
      return "error";
  }
  return "error";
}

// RFC 3339 in UTC with milliseconds.
std::string Timestamp() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                         utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

void AppendQuoted(std::string& out, std::string_view value) {
  out.push_back('"');
  for (const char c : value) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20 || byte == 0x7f) {
      out += absl::StrFormat("\\u%04x", byte);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

bool NeedsQuotes(std::string_view value) {
  if (value.empty()) return true;
  for (const char c : value) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f || c == '"' || c == '\\' || c == '=') return true;
  }
  return false;
}

}  // namespace

void ConfigureLog(LogFormat format, LogSeverity minimum) { Config() = {format, minimum}; }

bool ParseLogSeverity(std::string_view name, LogSeverity& severity) {
  for (const LogSeverity s :
       {LogSeverity::kDebug, LogSeverity::kInfo, LogSeverity::kWarning, LogSeverity::kError}) {
    if (name == SeverityName(s)) {
      severity = s;
      return true;
    }
  }
  return false;
}

Log::Log(LogSeverity severity, std::string_view event) : enabled_(severity >= Config().minimum) {
  if (!enabled_) return;
  line_.reserve(256);
  if (Config().format == LogFormat::kJson) {
    line_ = absl::StrFormat("{\"time\":\"%s\",\"level\":\"%s\",\"event\":", Timestamp(),
                            SeverityName(severity));
    AppendQuoted(line_, event);
  } else {
    line_ = absl::StrFormat("%s %s %s", Timestamp(), SeverityName(severity), event);
  }
}

Log::~Log() {
  if (!enabled_) return;
  if (Config().format == LogFormat::kJson) line_.push_back('}');
  line_.push_back('\n');
  // A failed write to stderr has nowhere to be reported.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line_.data(), line_.size());
}

Log& Log::Field(std::string_view name, std::string_view value) {
  std::string rendered;
  // Half the line is the most that one value may take, before escaping doubles it.
  value = value.substr(0, kLineBytesMax / 4);
  if (Config().format == LogFormat::kJson || NeedsQuotes(value)) {
    AppendQuoted(rendered, value);
  } else {
    rendered = std::string(value);
  }
  return Raw(name, rendered);
}

Log& Log::Field(std::string_view name, bool value) { return Raw(name, value ? "true" : "false"); }

Log& Log::Field(std::string_view name, double value) {
  // JSON has no NaN and no infinity.
  return Raw(name, std::isfinite(value) ? absl::StrFormat("%.6g", value) : "null");
}

Log& Log::Raw(std::string_view name, std::string_view rendered) {
  if (!enabled_) return *this;
  if (line_.size() + name.size() + rendered.size() + 8 > kLineBytesMax) return *this;
  if (Config().format == LogFormat::kJson) {
    line_.push_back(',');
    AppendQuoted(line_, name);
    line_.push_back(':');
  } else {
    line_.push_back(' ');
    line_ += name;
    line_.push_back('=');
  }
  line_ += rendered;
  return *this;
}

bool LogThrottle::Allow(int64_t& suppressed) {
  const int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                             std::chrono::steady_clock::now().time_since_epoch())
                             .count();
  int64_t next = next_ms_.load();
  if (now_ms < next || !next_ms_.compare_exchange_strong(next, now_ms + interval_ms_)) {
    suppressed_.fetch_add(1);
    return false;
  }
  suppressed = suppressed_.exchange(0);
  return true;
}

}  // namespace banyan
