// Names of requests: UUIDv7 (RFC 9562), the ids that clients may choose, and W3C trace context.
// Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace banyan::rpc {

// A fresh UUIDv7, 36 characters: 48 bits of Unix milliseconds, then 74 random bits.
std::string NewUuidV7();

// A random id for an epoch or a router, never 0.
uint64_t NewRandomId();

inline constexpr size_t kRequestIdBytesMax = 64;
// 1 to 64 characters of [A-Za-z0-9._:-].
bool IsValidRequestId(std::string_view id);

// W3C traceparent, version 00: "00-" 32 hex "-" 16 hex "-" 2 hex.
struct TraceParent {
  std::string trace_id;  // 32 lower-case hex digits, not all zero
  std::string span_id;   // 16, not all zero
  uint8_t flags = 0;

  // The header value.
  std::string ToString() const;
  // The same trace with a fresh span id: what goes on to the next process.
  TraceParent Child() const;
};

// Absent for anything invalid: a bad header is dropped, never an error.
std::optional<TraceParent> ParseTraceParent(std::string_view value);

}  // namespace banyan::rpc
