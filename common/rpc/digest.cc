#include "common/rpc/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "absl/strings/str_format.h"
#include "common/base/check.h"

namespace banyan::rpc {
namespace {

std::string LengthPrefix(size_t size) {
  std::string prefix(8, '\0');
  for (size_t i = 0; i < 8; ++i) prefix[i] = static_cast<char>((size >> (8 * i)) & 0xff);
  return prefix;
}

}  // namespace

struct Sha256::Context {
  EVP_MD_CTX* md = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(md); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  BANYAN_CHECK_EQ(EVP_DigestInit_ex(context_->md, EVP_sha256(), nullptr), 1);
}

Sha256::~Sha256() = default;

Sha256& Sha256::Update(std::string_view bytes) {
  BANYAN_CHECK_EQ(EVP_DigestUpdate(context_->md, bytes.data(), bytes.size()), 1);
  return *this;
}

Sha256& Sha256::UpdateField(std::string_view bytes) {
  return Update(LengthPrefix(bytes.size())).Update(bytes);
}

std::string Sha256::Finish() {
  std::string digest(kSha256Bytes, '\0');
  BANYAN_CHECK_EQ(
      EVP_DigestFinal_ex(context_->md, reinterpret_cast<unsigned char*>(digest.data()), nullptr),
      1);
  return digest;
}

std::string Sha256::FinishHex() {
  const std::string digest = Finish();
  std::string hex;
  for (size_t i = 0; i < kDigestHexDigits / 2; ++i) {
    hex += absl::StrFormat("%02x", static_cast<unsigned char>(digest[i]));
  }
  return hex;
}

std::string Sha256Of(std::string_view bytes) { return Sha256().Update(bytes).Finish(); }

BlockHash DeriveCacheSalt(std::string_view cluster_secret, std::string_view tenant,
                          std::string_view model_fingerprint, std::string_view client_salt) {
  std::string message;
  for (const std::string_view field : {tenant, model_fingerprint, client_salt}) {
    message += LengthPrefix(field.size());
    message += field;
  }
  std::array<unsigned char, kSha256Bytes> mac{};
  unsigned int mac_bytes = 0;
  // HMAC pads a short key with zeros, so an empty secret and a zero one are the same key.
  BANYAN_CHECK(HMAC(EVP_sha256(), cluster_secret.data(), static_cast<int>(cluster_secret.size()),
                    reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                    mac.data(), &mac_bytes) != nullptr);
  return BlockHash::FromBytes({reinterpret_cast<const char*>(mac.data()), 16});
}

}  // namespace banyan::rpc
