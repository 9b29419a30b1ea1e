// Checks for what only a bug can cause: a failed one prints file, line and message and aborts the
// process. What a client, a file, a peer or the network can cause is an absl::Status instead.
// Thread-safe.
#pragma once

#include <sstream>

namespace banyan::internal {

// Collects the message of a failed check; its destructor prints it and aborts.
class CheckFailure {
 public:
  CheckFailure(const char* file, int line, const char* condition);
  CheckFailure(const CheckFailure&) = delete;
  CheckFailure& operator=(const CheckFailure&) = delete;
  [[noreturn]] ~CheckFailure();

  std::ostream& stream() { return message_; }

 private:
  std::ostringstream message_;
};

}  // namespace banyan::internal

// BANYAN_CHECK(count >= 0) << "while freeing block " << id;
#define BANYAN_CHECK(condition) \
  while (!(condition)) ::banyan::internal::CheckFailure(__FILE__, __LINE__, #condition).stream()

#define BANYAN_CHECK_OP_(a, op, b) BANYAN_CHECK((a)op(b)) << (a) << " vs. " << (b) << ' '
#define BANYAN_CHECK_EQ(a, b) BANYAN_CHECK_OP_(a, ==, b)
#define BANYAN_CHECK_NE(a, b) BANYAN_CHECK_OP_(a, !=, b)
#define BANYAN_CHECK_LT(a, b) BANYAN_CHECK_OP_(a, <, b)
#define BANYAN_CHECK_LE(a, b) BANYAN_CHECK_OP_(a, <=, b)
#define BANYAN_CHECK_GT(a, b) BANYAN_CHECK_OP_(a, >, b)
#define BANYAN_CHECK_GE(a, b) BANYAN_CHECK_OP_(a, >=, b)
