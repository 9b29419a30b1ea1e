#include "common/rpc/errors.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace banyan::rpc {
namespace {

using absl::StatusCode;

constexpr char kTypePrefix[] = "type.googleapis.com/";
constexpr char kDomain[] = "banyan";
constexpr size_t kQuotedBytesMax = 64;

// The table of docs/protocol.md, section "Errors".
constexpr std::array kReasons = {
    ErrorReasonInfo{ErrorReason::kInvalidField, "INVALID_FIELD", StatusCode::kInvalidArgument, 400},
    ErrorReasonInfo{ErrorReason::kInvalidJson, "INVALID_JSON", StatusCode::kInvalidArgument, 400},
    ErrorReasonInfo{ErrorReason::kContextLengthExceeded, "CONTEXT_LENGTH_EXCEEDED",
                    StatusCode::kInvalidArgument, 400},
    ErrorReasonInfo{ErrorReason::kInvalidConstraint, "INVALID_CONSTRAINT",
                    StatusCode::kInvalidArgument, 400},
    ErrorReasonInfo{ErrorReason::kChatTemplateFailed, "CHAT_TEMPLATE_FAILED",
                    StatusCode::kInvalidArgument, 400},
    ErrorReasonInfo{ErrorReason::kUnsupportedParameter, "UNSUPPORTED_PARAMETER",
                    StatusCode::kInvalidArgument, 400},
    ErrorReasonInfo{ErrorReason::kKvCapacityExceeded, "KV_CAPACITY_EXCEEDED",
                    StatusCode::kFailedPrecondition, 400},
    ErrorReasonInfo{ErrorReason::kModelMismatch, "MODEL_MISMATCH", StatusCode::kFailedPrecondition,
                    400},
    ErrorReasonInfo{ErrorReason::kKeyMissing, "KEY_MISSING", StatusCode::kUnauthenticated, 401},
    ErrorReasonInfo{ErrorReason::kKeyInvalid, "KEY_INVALID", StatusCode::kUnauthenticated, 401},
    ErrorReasonInfo{ErrorReason::kModelNotAllowed, "MODEL_NOT_ALLOWED",
                    StatusCode::kPermissionDenied, 403},
    ErrorReasonInfo{ErrorReason::kAdminOnly, "ADMIN_ONLY", StatusCode::kPermissionDenied, 403},
    ErrorReasonInfo{ErrorReason::kPriorityNotAllowed, "PRIORITY_NOT_ALLOWED",
                    StatusCode::kPermissionDenied, 403},
    ErrorReasonInfo{ErrorReason::kModelNotFound, "MODEL_NOT_FOUND", StatusCode::kNotFound, 404},
    ErrorReasonInfo{ErrorReason::kRequestNotFound, "REQUEST_NOT_FOUND", StatusCode::kNotFound, 404},
    ErrorReasonInfo{ErrorReason::kWorkerNotFound, "WORKER_NOT_FOUND", StatusCode::kNotFound, 404},
    ErrorReasonInfo{ErrorReason::kRouteNotFound, "ROUTE_NOT_FOUND", StatusCode::kNotFound, 404},
    ErrorReasonInfo{ErrorReason::kAssetNotFound, "ASSET_NOT_FOUND", StatusCode::kNotFound, 404},
    ErrorReasonInfo{ErrorReason::kRequestIdInUse, "REQUEST_ID_IN_USE", StatusCode::kAlreadyExists,
                    409},
    ErrorReasonInfo{ErrorReason::kWorkerExists, "WORKER_EXISTS", StatusCode::kAlreadyExists, 409},
    ErrorReasonInfo{ErrorReason::kQueueFull, "QUEUE_FULL", StatusCode::kResourceExhausted, 429},
    ErrorReasonInfo{ErrorReason::kDeadlineUnreachable, "DEADLINE_UNREACHABLE",
                    StatusCode::kResourceExhausted, 429},
    ErrorReasonInfo{ErrorReason::kQueueTimeout, "QUEUE_TIMEOUT", StatusCode::kResourceExhausted,
                    429},
    ErrorReasonInfo{ErrorReason::kSlowReader, "SLOW_READER", StatusCode::kResourceExhausted, 429},
    ErrorReasonInfo{ErrorReason::kRateLimited, "RATE_LIMITED", StatusCode::kResourceExhausted, 429},
    ErrorReasonInfo{ErrorReason::kEngineFault, "ENGINE_FAULT", StatusCode::kInternal, 500},
    ErrorReasonInfo{ErrorReason::kNonFiniteLogits, "NON_FINITE_LOGITS", StatusCode::kInternal, 500},
    ErrorReasonInfo{ErrorReason::kProtocolGap, "PROTOCOL_GAP", StatusCode::kInternal, 500},
    ErrorReasonInfo{ErrorReason::kEmbeddingsUnsupported, "EMBEDDINGS_UNSUPPORTED",
                    StatusCode::kUnimplemented, 501},
    ErrorReasonInfo{ErrorReason::kConstraintsUnsupported, "CONSTRAINTS_UNSUPPORTED",
                    StatusCode::kUnimplemented, 501},
    ErrorReasonInfo{ErrorReason::kMethodUnsupported, "METHOD_UNSUPPORTED",
                    StatusCode::kUnimplemented, 501},
    ErrorReasonInfo{ErrorReason::kNoWorker, "NO_WORKER", StatusCode::kUnavailable, 503},
    ErrorReasonInfo{ErrorReason::kWorkerLost, "WORKER_LOST", StatusCode::kUnavailable, 503},
    ErrorReasonInfo{ErrorReason::kWorkerDraining, "WORKER_DRAINING", StatusCode::kUnavailable, 503},
    ErrorReasonInfo{ErrorReason::kRouterDraining, "ROUTER_DRAINING", StatusCode::kUnavailable, 503},
    ErrorReasonInfo{ErrorReason::kCancelled, "CANCELLED", StatusCode::kCancelled, 499},
    ErrorReasonInfo{ErrorReason::kDeadlineExceeded, "DEADLINE_EXCEEDED",
                    StatusCode::kDeadlineExceeded, 504},
};

// Through a string_view: clang mangles Cord's std::string constructor otherwise than the library's
// compiler did.
absl::Cord ToCord(const std::string& bytes) { return absl::Cord(absl::string_view(bytes)); }

template <typename Message>
std::string TypeUrl() {
  return kTypePrefix + std::string(Message::descriptor()->full_name());
}

template <typename Message>
void SetDetail(absl::Status& status, const Message& message) {
  status.SetPayload(TypeUrl<Message>(), ToCord(message.SerializeAsString()));
}

template <typename Message>
std::optional<Message> GetDetail(const absl::Status& status) {
  const std::optional<absl::Cord> payload = [&]() -> std::optional<absl::Cord> {
    auto found = status.GetPayload(TypeUrl<Message>());
    if (!found.has_value()) return std::nullopt;
    return *found;
  }();
  Message message;
  if (!payload.has_value() || !message.ParseFromString(std::string(*payload))) return std::nullopt;
  return message;
}

// The reason of an error that nothing more is known of. Closed over all canonical codes.
ErrorReason DefaultReason(StatusCode code) {
  switch (code) {
    case StatusCode::kInvalidArgument:
    case StatusCode::kOutOfRange:
      return ErrorReason::kInvalidField;
    case StatusCode::kFailedPrecondition:
      return ErrorReason::kModelMismatch;
    case StatusCode::kUnauthenticated:
      return ErrorReason::kKeyInvalid;
    case StatusCode::kPermissionDenied:
      return ErrorReason::kAdminOnly;
    case StatusCode::kNotFound:
      return ErrorReason::kRequestNotFound;
    case StatusCode::kAlreadyExists:
      return ErrorReason::kRequestIdInUse;
    case StatusCode::kResourceExhausted:
      return ErrorReason::kQueueFull;
    case StatusCode::kUnimplemented:
      return ErrorReason::kMethodUnsupported;
    case StatusCode::kUnavailable:
    case StatusCode::kAborted:
      return ErrorReason::kWorkerLost;
    case StatusCode::kCancelled:
      return ErrorReason::kCancelled;
    case StatusCode::kDeadlineExceeded:
      return ErrorReason::kDeadlineExceeded;
    default:
      return ErrorReason::kEngineFault;
  }
}

google::rpc::ErrorInfo MakeErrorInfo(ErrorReason reason) {
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(InfoOf(reason).name));
  info.set_domain(kDomain);
  return info;
}

// The order in which details are sent.
const std::array<std::string, 5>& DetailUrls() {
  static const std::array<std::string, 5> urls = {
      TypeUrl<google::rpc::ErrorInfo>(), TypeUrl<google::rpc::BadRequest>(),
      TypeUrl<google::rpc::RetryInfo>(), TypeUrl<google::rpc::ResourceInfo>(),
      TypeUrl<google::rpc::QuotaFailure>()};
  return urls;
}

}  // namespace

std::span<const ErrorReasonInfo> ErrorReasons() { return kReasons; }

const ErrorReasonInfo& InfoOf(ErrorReason reason) {
  const size_t index = static_cast<size_t>(reason);
  BANYAN_CHECK_LT(index, kReasons.size());
  BANYAN_CHECK(kReasons[index].reason == reason) << "the table follows the enum";
  return kReasons[index];
}

std::optional<ErrorReason> ParseErrorReason(std::string_view name) {
  for (const ErrorReasonInfo& info : kReasons) {
    if (info.name == name) return info.reason;
  }
  return std::nullopt;
}

Error::Error(ErrorReason reason, std::string message)
    : reason_(reason), message_(std::move(message)) {
  if (message_.size() > kMessageBytesMax) message_.resize(kMessageBytesMax);
}

Error& Error::Metadata(std::string key, std::string value) {
  metadata_[std::move(key)] = std::move(value);
  return *this;
}

Error& Error::Violation(std::string field, std::string description) {
  if (violations_.size() < kViolationsMax) {
    violations_.push_back({std::move(field), std::move(description)});
  }
  return *this;
}

Error& Error::RetryAfter(Duration delay) {
  retry_after_ = std::max(delay, Duration::zero());
  return *this;
}

Error& Error::Resource(std::string type, std::string name) {
  resource_.emplace(std::move(type), std::move(name));
  return *this;
}

absl::Status Error::ToStatus() const {
  absl::Status status(InfoOf(reason_).code, message_);
  google::rpc::ErrorInfo info = MakeErrorInfo(reason_);
  for (const auto& [key, value] : metadata_) (*info.mutable_metadata())[key] = value;
  SetDetail(status, info);
  if (!violations_.empty()) {
    google::rpc::BadRequest bad_request;
    for (const FieldViolation& violation : violations_) {
      auto* entry = bad_request.add_field_violations();
      entry->set_field(violation.field);
      entry->set_description(violation.description);
    }
    SetDetail(status, bad_request);
  }
  if (retry_after_.has_value()) {
    google::rpc::RetryInfo retry;
    const int64_t ns = retry_after_->count();
    retry.mutable_retry_delay()->set_seconds(ns / 1'000'000'000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(ns % 1'000'000'000));
    SetDetail(status, retry);
  }
  if (resource_.has_value()) {
    google::rpc::ResourceInfo resource;
    resource.set_resource_type(resource_->first);
    resource.set_resource_name(resource_->second);
    SetDetail(status, resource);
  }
  return status;
}

grpc::Status Error::ToGrpc() const { return ToGrpcStatus(ToStatus()); }

Error InvalidFields(ErrorReason reason, std::span<const FieldViolation> violations) {
  BANYAN_CHECK(!violations.empty());
  std::string message = violations[0].field + ": " + violations[0].description;
  if (violations.size() > 1) {
    message += absl::StrFormat(" (and %d more)", violations.size() - 1);
  }
  Error error(reason, std::move(message));
  for (const FieldViolation& violation : violations) {
    error.Violation(violation.field, violation.description);
  }
  return error;
}

std::string QuoteValue(std::string_view value) {
  const bool cut = value.size() > kQuotedBytesMax;
  std::string out = "\"";
  for (const char c : value.substr(0, kQuotedBytesMax)) {
    const unsigned char byte = static_cast<unsigned char>(c);
    // Only printable ASCII survives: a cut could otherwise split a UTF-8 character.
    out.push_back(byte >= 0x20 && byte < 0x7f ? c : '?');
  }
  out += cut ? "...\"" : "\"";
  return out;
}

absl::Status WithReason(absl::Status status, ErrorReason reason) {
  if (status.ok() || ReasonOf(status).has_value()) return status;
  SetDetail(status, MakeErrorInfo(reason));
  return status;
}

absl::Status TakeReasonPrefix(const absl::Status& status) {
  const std::string message(status.message());
  const size_t colon = message.find(": ");
  if (status.ok() || colon == std::string::npos) return status;
  const std::optional<ErrorReason> reason = ParseErrorReason({message.data(), colon});
  if (!reason.has_value()) return status;
  return WithReason(absl::Status(status.code(), message.substr(colon + 2)), *reason);
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const absl::Status full = WithReason(status, DefaultReason(status.code()));
  google::rpc::Status wire;
  wire.set_code(static_cast<int>(full.code()));
  const std::string message(full.message().substr(0, kMessageBytesMax));
  wire.set_message(message);
  for (const std::string& url : DetailUrls()) {
    if (auto payload = full.GetPayload(url); payload.has_value()) {
      auto* detail = wire.add_details();
      detail->set_type_url(url);
      detail->set_value(std::string(*payload));
    }
  }
  return {static_cast<grpc::StatusCode>(full.code()), message, wire.SerializeAsString()};
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status out(static_cast<StatusCode>(status.error_code()), status.error_message());
  google::rpc::Status wire;
  if (!wire.ParseFromString(status.error_details())) return out;
  for (const auto& detail : wire.details()) {
    const auto& urls = DetailUrls();
    if (std::find(urls.begin(), urls.end(), detail.type_url()) == urls.end()) continue;
    out.SetPayload(detail.type_url(), ToCord(detail.value()));
  }
  return out;
}

std::optional<ErrorReason> ReasonOf(const absl::Status& status) {
  const auto info = GetDetail<google::rpc::ErrorInfo>(status);
  if (!info.has_value() || info->domain() != kDomain) return std::nullopt;
  return ParseErrorReason(info->reason());
}

std::map<std::string, std::string> MetadataOf(const absl::Status& status) {
  const auto info = GetDetail<google::rpc::ErrorInfo>(status);
  if (!info.has_value()) return {};
  return {info->metadata().begin(), info->metadata().end()};
}

std::vector<FieldViolation> ViolationsOf(const absl::Status& status) {
  std::vector<FieldViolation> violations;
  const auto bad_request = GetDetail<google::rpc::BadRequest>(status);
  if (!bad_request.has_value()) return violations;
  for (const auto& entry : bad_request->field_violations()) {
    if (violations.size() == kViolationsMax) break;
    violations.push_back({entry.field(), entry.description()});
  }
  return violations;
}

std::optional<Duration> RetryDelayOf(const absl::Status& status) {
  const auto retry = GetDetail<google::rpc::RetryInfo>(status);
  if (!retry.has_value()) return std::nullopt;
  return std::chrono::seconds(retry->retry_delay().seconds()) +
         std::chrono::nanoseconds(retry->retry_delay().nanos());
}

}  // namespace banyan::rpc
