// SHA-256 and what is made of it: digests of assets and the cache salt. Thread-safe.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/block_hash.h"

namespace banyan::rpc {

inline constexpr size_t kSha256Bytes = 32;
inline constexpr size_t kDigestHexDigits = 32;  // of fingerprints: the first 16 bytes

// SHA-256 over pieces.
class Sha256 {
 public:
  Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  ~Sha256();

  Sha256& Update(std::string_view bytes);
  // Length first (8 bytes, little-endian), so that neighbouring fields cannot run into each other.
  Sha256& UpdateField(std::string_view bytes);
  // 32 bytes. Nothing may be added afterwards.
  std::string Finish();
  // The first 16 bytes as 32 lower-case hex digits. Nothing may be added afterwards.
  std::string FinishHex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string Sha256Of(std::string_view bytes);

// What separates one tenant's cached blocks from another's: the first 16 bytes of
// HMAC-SHA256(secret; tenant id, model fingerprint, client salt), each field with its length (8
// bytes, little-endian) in front. An empty secret is the all-zero one: a cluster without keys.
BlockHash DeriveCacheSalt(std::string_view cluster_secret, std::string_view tenant,
                          std::string_view model_fingerprint, std::string_view client_salt);

}  // namespace banyan::rpc
