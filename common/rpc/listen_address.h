// "host:port" addresses that a process listens on: parsing, the loopback rule, and a sentence that
// says why one could not be bound.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace banyan::rpc {

// How a port is protected. Keys and TLS will be further values.
enum class TransportSecurity {
  kLoopbackOnly,  // plaintext, refused on any other interface
  kInsecure,      // plaintext anywhere: the operator asked for it
};

struct ListenAddress {
  std::string host;   // "127.0.0.1", "::1", "0.0.0.0", "localhost"
  uint16_t port = 0;  // 0: the kernel chooses

  // "127.0.0.1:7080", "[::1]:7080".
  std::string ToString() const;
  bool IsLoopback() const;
};

// Takes "host:port", "[v6]:port" and ":port" (loopback). INVALID_ARGUMENT names `flag` and what is
// wrong.
absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text, std::string_view flag);

// FAILED_PRECONDITION where `security` does not allow the address; says which flag does.
absl::Status CheckExposure(const ListenAddress& address, TransportSecurity security);

// Whether `address` could be listened on now; else UNAVAILABLE with one sentence that says why ("is
// in use by another process: ..."). `what` names the port's purpose, for example "worker port".
absl::Status ProbeListen(const ListenAddress& address, std::string_view what);

// Why listening on `address` has failed: the same sentence, never OK.
absl::Status ExplainBindFailure(const ListenAddress& address, std::string_view what);

}  // namespace banyan::rpc
