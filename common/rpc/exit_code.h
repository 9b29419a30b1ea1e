// Exit codes of every Banyan process (docs/operations.md, "Command line").
#pragma once

#include "absl/status/status.h"

namespace banyan::rpc {

enum class ExitCode : int {
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  kUnreachable = 69,    // a peer or a port cannot be had
  kTryLater = 75,       // not enough memory now, a drain ran out of time
  kRefused = 77,        // not allowed
  kConfiguration = 78,  // bad configuration or model
  kInterrupted = 130,   // Ctrl-C
};

// The code with which a process ends that cannot go on because of `status`.
inline ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kOk;
    case absl::StatusCode::kUnavailable:
      return ExitCode::kUnreachable;
    case absl::StatusCode::kResourceExhausted:
      return ExitCode::kTryLater;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return ExitCode::kRefused;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnimplemented:
      return ExitCode::kConfiguration;
    default:
      return ExitCode::kFailed;
  }
}

}  // namespace banyan::rpc
