#include "worker/service/model_card.h"

#include <algorithm>
#include <utility>

#include "common/rpc/digest.h"
#include "common/rpc/errors.h"

namespace banyan::worker {

ModelCard::ModelCard(TextAssets assets) {
  std::sort(assets.assets.begin(), assets.assets.end(),
            [](const TextAsset& a, const TextAsset& b) { return a.name < b.name; });
  rpc::Sha256 whole;
  for (TextAsset& asset : assets.assets) {
    std::string sha256 = rpc::Sha256Of(asset.bytes);
    whole.UpdateField(asset.name).UpdateField(sha256);
    assets_.push_back({std::move(asset.name), std::move(asset.bytes), std::move(sha256)});
  }
  digest_ = whole.FinishHex();
}

absl::StatusOr<std::vector<const ModelCard::Asset*>> ModelCard::Select(
    std::span<const std::string> names) const {
  std::vector<const Asset*> selected;
  if (names.empty()) {
    for (const Asset& asset : assets_) selected.push_back(&asset);
    return selected;
  }
  for (const std::string& name : names) {
    const auto found = std::find_if(assets_.begin(), assets_.end(),
                                    [&](const Asset& asset) { return asset.name == name; });
    if (found == assets_.end()) {
      return rpc::Error(rpc::ErrorReason::kAssetNotFound,
                        "names: the model card has no asset " + rpc::QuoteValue(name))
          .Resource("asset", name.substr(0, 64))
          .ToStatus();
    }
    const bool again = std::find(selected.begin(), selected.end(), &*found) != selected.end();
    if (!again) selected.push_back(&*found);
  }
  return selected;
}

}  // namespace banyan::worker
