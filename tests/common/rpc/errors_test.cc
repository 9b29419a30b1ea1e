#include "common/rpc/errors.h"

#include <set>

#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"

namespace banyan::rpc {
namespace {

using ::testing::HasSubstr;

TEST(ErrorsTest, TableFollowsTheEnumAndNamesAreDistinct) {
  std::set<std::string_view> names;
  for (const ErrorReasonInfo& info : ErrorReasons()) {
    EXPECT_EQ(&InfoOf(info.reason), &info);
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_EQ(ParseErrorReason(info.name), info.reason);
    EXPECT_NE(info.code, absl::StatusCode::kOk);
  }
  EXPECT_EQ(ParseErrorReason("NO_SUCH_REASON"), std::nullopt);
}

TEST(ErrorsTest, HttpStatusBelongsToTheCode) {
  for (const ErrorReasonInfo& info : ErrorReasons()) {
    for (const ErrorReasonInfo& other : ErrorReasons()) {
      if (info.code != other.code) continue;
      EXPECT_EQ(info.http_status, other.http_status) << info.name;
    }
  }
  EXPECT_EQ(InfoOf(ErrorReason::kQueueFull).http_status, 429);
  EXPECT_EQ(InfoOf(ErrorReason::kNoWorker).http_status, 503);
}

TEST(ErrorsTest, AllDetailsSurviveTheWire) {
  const absl::Status sent = Error(ErrorReason::kQueueFull, "queue: full, limit 512 requests")
                                .Metadata("limit", "512")
                                .Violation("queue", "full")
                                .RetryAfter(std::chrono::milliseconds(1250))
                                .Resource("model", "m")
                                .ToStatus();
  const grpc::Status wire = ToGrpcStatus(sent);
  EXPECT_EQ(wire.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  const absl::Status received = FromGrpcStatus(wire);
  EXPECT_EQ(received, sent);
  EXPECT_EQ(ReasonOf(received), ErrorReason::kQueueFull);
  EXPECT_EQ(MetadataOf(received).at("limit"), "512");
  EXPECT_EQ(ViolationsOf(received), (std::vector<FieldViolation>{{"queue", "full"}}));
  EXPECT_EQ(RetryDelayOf(received), std::chrono::milliseconds(1250));

  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(wire.error_details()));
  EXPECT_EQ(details.code(), static_cast<int>(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(details.message(), "queue: full, limit 512 requests");
  ASSERT_EQ(details.details_size(), 4);
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.domain(), "banyan");
  EXPECT_EQ(info.reason(), "QUEUE_FULL");
}

TEST(ErrorsTest, EveryBareCodeGetsAReason) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status bare(static_cast<absl::StatusCode>(code), "why");
    const absl::Status received = FromGrpcStatus(ToGrpcStatus(bare));
    EXPECT_EQ(received.code(), bare.code());
    EXPECT_EQ(received.message(), "why");
    EXPECT_TRUE(ReasonOf(received).has_value()) << code;
  }
}

TEST(ErrorsTest, OkStaysOk) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
}

TEST(ErrorsTest, WithReasonKeepsAReasonThatIsThere) {
  const absl::Status queue_full = Error(ErrorReason::kQueueFull, "full").ToStatus();
  EXPECT_EQ(ReasonOf(WithReason(queue_full, ErrorReason::kQueueTimeout)), ErrorReason::kQueueFull);
  EXPECT_EQ(ReasonOf(WithReason(absl::ResourceExhaustedError("late"), ErrorReason::kQueueTimeout)),
            ErrorReason::kQueueTimeout);
  EXPECT_TRUE(WithReason(absl::OkStatus(), ErrorReason::kQueueTimeout).ok());
}

TEST(ErrorsTest, ReasonsAtTheHeadOfAMessageMoveIntoTheDetails) {
  const absl::Status full = TakeReasonPrefix(absl::ResourceExhaustedError("QUEUE_FULL: 5 wait: 4"));
  EXPECT_EQ(ReasonOf(full), ErrorReason::kQueueFull);
  EXPECT_EQ(full.message(), "5 wait: 4");
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  for (const char* message : {"OTHER: x", "queue: full", "QUEUE_FULL", ""}) {
    const absl::Status status = absl::InternalError(message);
    EXPECT_EQ(TakeReasonPrefix(status), status);
  }
  EXPECT_TRUE(TakeReasonPrefix(absl::OkStatus()).ok());
}

TEST(ErrorsTest, ViolationsAreBoundedAndCountedInTheMessage) {
  std::vector<FieldViolation> violations;
  for (int i = 0; i < 40; ++i) violations.push_back({"f" + std::to_string(i), "is bad"});
  const absl::Status status = InvalidFields(ErrorReason::kInvalidField, violations).ToStatus();
  EXPECT_EQ(status.message(), "f0: is bad (and 39 more)");
  EXPECT_EQ(ViolationsOf(status).size(), kViolationsMax);
}

TEST(ErrorsTest, LongMessagesAreCut) {
  const absl::Status status =
      Error(ErrorReason::kEngineFault, std::string(100'000, 'x')).ToStatus();
  EXPECT_EQ(status.message().size(), kMessageBytesMax);
  EXPECT_EQ(ToGrpcStatus(absl::InternalError(std::string(100'000, 'x'))).error_message().size(),
            kMessageBytesMax);
}

TEST(ErrorsTest, UnreadableDetailsAreDropped) {
  const grpc::Status wire(grpc::StatusCode::NOT_FOUND, "gone", "\xff\xff not a proto");
  const absl::Status status = FromGrpcStatus(wire);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(status), std::nullopt);
  EXPECT_TRUE(ViolationsOf(status).empty());
}

TEST(ErrorsTest, QuotedValuesAreShortAndPrintable) {
  EXPECT_EQ(QuoteValue("abc"), "\"abc\"");
  EXPECT_EQ(QuoteValue(std::string("a\0\n\xc3\xa9", 5)), "\"a????\"");
  EXPECT_EQ(QuoteValue(std::string(65, 'x')), "\"" + std::string(64, 'x') + "...\"");
}

}  // namespace
}  // namespace banyan::rpc
