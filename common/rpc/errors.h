// Errors as they cross the wire: a canonical code, a message for people, and google.rpc details for
// programs. Every error that leaves a Banyan process carries ErrorInfo{reason, domain "banyan"}.
//
// Inside a process an error is an absl::Status whose payloads are the details (type URL to
// serialised message), so it passes through code that knows no gRPC. ToGrpcStatus and
// FromGrpcStatus translate at the edge. Everything here is thread-safe by being stateless.
//
//   return Error(ErrorReason::kQueueFull, "queue: full, limit 512
//   requests").RetryAfter(2s).ToStatus();
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/base/clock.h"
#include "grpcpp/support/status.h"

namespace banyan::rpc {

enum class ErrorReason : uint8_t {
  kInvalidField,
  kInvalidJson,
  kContextLengthExceeded,
  kInvalidConstraint,
  kChatTemplateFailed,
  kUnsupportedParameter,
  kKvCapacityExceeded,
  kModelMismatch,
  kKeyMissing,
  kKeyInvalid,
  kModelNotAllowed,
  kAdminOnly,
  kPriorityNotAllowed,
  kModelNotFound,
  kRequestNotFound,
  kWorkerNotFound,
  kRouteNotFound,
  kAssetNotFound,
  kRequestIdInUse,
  kWorkerExists,
  kQueueFull,
  kDeadlineUnreachable,
  kQueueTimeout,
  kSlowReader,
  kRateLimited,
  kEngineFault,
  kNonFiniteLogits,
  kProtocolGap,
  kEmbeddingsUnsupported,
  kConstraintsUnsupported,
  kMethodUnsupported,
  kNoWorker,
  kWorkerLost,
  kWorkerDraining,
  kRouterDraining,
  kCancelled,
  kDeadlineExceeded,
};

// One row of the table of errors.
struct ErrorReasonInfo {
  ErrorReason reason;
  std::string_view name;  // as in ErrorInfo.reason: "QUEUE_FULL"
  absl::StatusCode code;
  int http_status;
};

// All reasons, in the order of the enum.
std::span<const ErrorReasonInfo> ErrorReasons();
const ErrorReasonInfo& InfoOf(ErrorReason reason);
std::optional<ErrorReason> ParseErrorReason(std::string_view name);

// What is wrong with one field of a request. `field` is the proto path ("sampling.top_p").
struct FieldViolation {
  std::string field;
  std::string description;  // what is wrong, limit, value; never prompt text

  friend bool operator==(const FieldViolation&, const FieldViolation&) = default;
};

inline constexpr size_t kViolationsMax = 16;
inline constexpr size_t kMessageBytesMax = 1024;  // the rest of a longer message is cut

// Builds an error.
class Error {
 public:
  Error(ErrorReason reason, std::string message);

  // Further facts for programs, for example {"needed_blocks", "12"}.
  Error& Metadata(std::string key, std::string value);
  // Beyond kViolationsMax further ones are dropped.
  Error& Violation(std::string field, std::string description);
  Error& RetryAfter(Duration delay);
  // `type` as in the protocol: "model", "request", "worker", "asset".
  Error& Resource(std::string type, std::string name);

  absl::Status ToStatus() const;
  grpc::Status ToGrpc() const;

 private:
  ErrorReason reason_;
  std::string message_;
  std::map<std::string, std::string> metadata_;
  std::vector<FieldViolation> violations_;
  std::optional<Duration> retry_after_;
  std::optional<std::pair<std::string, std::string>> resource_;
};

// INVALID_ARGUMENT from a list of violations: the message is the first one, and how many more there
// are. `violations` must not be empty.
Error InvalidFields(ErrorReason reason, std::span<const FieldViolation> violations);

// `value` as it may appear in a message: cut at 64 bytes, control bytes and bytes that are not
// UTF-8 replaced by '?', in double quotes.
std::string QuoteValue(std::string_view value);

// Gives an error that has no ErrorInfo the reason `reason` (code and message stay); anything else
// is returned unchanged.
absl::Status WithReason(absl::Status status, ErrorReason reason);

// Code without this library says a reason as the first word of its message: "QUEUE_FULL: 512
// requests wait". Moves it into ErrorInfo; a status without one is returned unchanged.
absl::Status TakeReasonPrefix(const absl::Status& status);

// Adds the reason that a bare code has by default, so that ErrorInfo is always there. The details
// travel as a serialised google.rpc.Status in grpc-status-details-bin.
grpc::Status ToGrpcStatus(const absl::Status& status);
// Unreadable details are dropped; code and message stay.
absl::Status FromGrpcStatus(const grpc::Status& status);

// What a received error says; empty or absent where it says nothing.
std::optional<ErrorReason> ReasonOf(const absl::Status& status);
std::map<std::string, std::string> MetadataOf(const absl::Status& status);
std::vector<FieldViolation> ViolationsOf(const absl::Status& status);
std::optional<Duration> RetryDelayOf(const absl::Status& status);

}  // namespace banyan::rpc
