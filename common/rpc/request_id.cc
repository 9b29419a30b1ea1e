#include "common/rpc/request_id.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "absl/strings/str_format.h"
#include "common/base/check.h"

namespace banyan::rpc {
namespace {

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsAllZero(std::string_view text) { return text.find_first_not_of('0') == text.npos; }

int HexDigit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

}  // namespace

std::string NewUuidV7() {
  std::array<unsigned char, 10> random{};
  BANYAN_CHECK_EQ(RAND_bytes(random.data(), static_cast<int>(random.size())), 1);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto ms =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  const unsigned rand_a = ((random[0] & 0x0fu) << 8) | random[1];
  const unsigned variant = (random[2] & 0x3fu) | 0x80u;
  return absl::StrFormat("%08x-%04x-7%03x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                         (ms >> 16) & 0xffffffff, ms & 0xffff, rand_a, variant, random[3],
                         random[4], random[5], random[6], random[7], random[8], random[9]);
}

uint64_t NewRandomId() {
  uint64_t id = 0;
  while (id == 0) {
    BANYAN_CHECK_EQ(RAND_bytes(reinterpret_cast<unsigned char*>(&id), sizeof(id)), 1);
  }
  return id;
}

bool IsValidRequestId(std::string_view id) {
  if (id.empty() || id.size() > kRequestIdBytesMax) return false;
  return std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == ':' || c == '-';
  });
}

std::string TraceParent::ToString() const {
  return absl::StrFormat("00-%s-%s-%02x", trace_id, span_id, flags);
}

TraceParent TraceParent::Child() const {
  return {trace_id, absl::StrFormat("%016x", NewRandomId()), flags};
}

std::optional<TraceParent> ParseTraceParent(std::string_view value) {
  // A later version may append fields; what version 00 defines stays in front (W3C, section 3.2.4).
  if (value.size() < 55 || value[2] != '-' || value[35] != '-' || value[52] != '-') {
    return std::nullopt;
  }
  const std::string_view version = value.substr(0, 2);
  const std::string_view trace_id = value.substr(3, 32);
  const std::string_view span_id = value.substr(36, 16);
  const std::string_view flags = value.substr(53, 2);
  if (!IsLowerHex(version) || !IsLowerHex(trace_id) || !IsLowerHex(span_id) || !IsLowerHex(flags) ||
      version == "ff" || IsAllZero(trace_id) || IsAllZero(span_id)) {
    return std::nullopt;
  }
  if (version == "00" ? value.size() != 55 : (value.size() > 55 && value[55] != '-')) {
    return std::nullopt;
  }
  return TraceParent{std::string(trace_id), std::string(span_id),
                     static_cast<uint8_t>(HexDigit(flags[0]) * 16 + HexDigit(flags[1]))};
}

}  // namespace banyan::rpc
