// The model card: the text assets of the checkpoint (tokenizer, chat template, configuration) with
// their digests, from which a router builds everything it does with text. Immutable after making;
// thread-safe.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/checkpoint/text_assets.h"

namespace banyan::worker {

inline constexpr size_t kCardPieceBytesMax = 256u << 10;

class ModelCard {
 public:
  struct Asset {
    std::string name;
    std::string bytes;
    std::string sha256;  // 32 bytes
  };

  explicit ModelCard(TextAssets assets);

  std::span<const Asset> assets() const { return assets_; }
  // 32 hex digits: SHA-256 over name and SHA-256 of every asset, by name, each with its length in
  // front.
  const std::string& digest() const { return digest_; }

  // The assets of these names, in this order; no names: all. NOT_FOUND for any other name; names
  // are compared, never opened.
  absl::StatusOr<std::vector<const Asset*>> Select(std::span<const std::string> names) const;

 private:
  std::vector<Asset> assets_;
  std::string digest_;
};

}  // namespace banyan::worker
