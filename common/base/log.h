// Structured logging to stderr: one line per event, as text or as JSON.
//
//   Log(LogSeverity::kInfo, "worker_joined").Field("worker", id).Field("blocks", count);
//
// Lines are at most 8 KiB and escaped; writing one is a single write(2), so lines of several
// threads and processes never mix. Thread-safe. Prompts, outputs, keys and salts are never logged.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace banyan {

enum class LogSeverity { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

// Sets format and lowest severity for the process. Call once, before threads start.
void ConfigureLog(LogFormat format, LogSeverity minimum);

// "debug", "info", "warning", "error"; false when `name` is none of them.
bool ParseLogSeverity(std::string_view name, LogSeverity& severity);

// One event. The line is written when the object dies.
class Log {
 public:
  Log(LogSeverity severity, std::string_view event);
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log();

  Log& Field(std::string_view name, std::string_view value);
  Log& Field(std::string_view name, const char* value) {
    return Field(name, std::string_view(value));
  }
  Log& Field(std::string_view name, bool value);
  Log& Field(std::string_view name, double value);
  template <std::integral T>
  Log& Field(std::string_view name, T value) {
    return Raw(name, std::to_string(value));
  }

 private:
  Log& Raw(std::string_view name, std::string_view rendered);

  const bool enabled_;
  std::string line_;
};

// Lets through one event per interval and counts the ones between, for warnings that traffic can
// repeat. Thread-safe. Use as a function-local static.
class LogThrottle {
 public:
  explicit LogThrottle(int64_t interval_ms = 10'000) : interval_ms_(interval_ms) {}
  // True when the event may be logged; `suppressed` then says how many were swallowed before it.
  bool Allow(int64_t& suppressed);

 private:
  const int64_t interval_ms_;
  std::atomic<int64_t> next_ms_{0};
  std::atomic<int64_t> suppressed_{0};
};

}  // namespace banyan
