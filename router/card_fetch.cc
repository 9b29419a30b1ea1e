#include "router/card_fetch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/rpc/digest.h"
#include "common/rpc/errors.h"

namespace banyan::router {
namespace {

constexpr size_t kAssetsMax = 16;

// Puts the pieces together and checks what can be checked on the way.
class CardAssembly {
 public:
  // Whether the stream may go on; else error() says what was wrong.
  bool Add(const v1::GetModelCardResponse& piece) {
    if (assets_.empty() || complete_) {
      if (assets_.size() == kAssetsMax) return Fail("more than 16 assets");
      assets_.push_back({piece.name(), {}});
      complete_ = false;
    }
    TextAsset& asset = assets_.back();
    if (piece.name() != asset.name) return Fail("asset " + asset.name + " was cut off");
    if (asset.bytes.size() + piece.data().size() > kTextAssetBytesMax) {
      return Fail("asset " + asset.name + " is larger than 64 MiB");
    }
    asset.bytes += piece.data();
    if (piece.sha256().empty()) return true;
    if (piece.sha256() != rpc::Sha256Of(asset.bytes)) {
      return Fail("asset " + asset.name + " has another digest than it says");
    }
    complete_ = true;
    return true;
  }

  absl::StatusOr<TextAssets> Finish(const std::string& digest) {
    if (error_.empty() && !complete_) Fail("the card ended in the middle of an asset");
    std::sort(assets_.begin(), assets_.end(),
              [](const TextAsset& a, const TextAsset& b) { return a.name < b.name; });
    rpc::Sha256 sha256;
    for (const TextAsset& asset : assets_) {
      sha256.UpdateField(asset.name).UpdateField(rpc::Sha256Of(asset.bytes));
    }
    if (error_.empty() && sha256.FinishHex() != digest) Fail("the card has another digest");
    if (!error_.empty()) return absl::InternalError("model card: " + error_);
    return TextAssets{std::move(assets_)};
  }

 private:
  bool Fail(std::string error) {
    error_ = std::move(error);
    return false;
  }

  std::vector<TextAsset> assets_;
  bool complete_ = false;
  std::string error_;
};

}  // namespace

void FetchCard(v1::WorkerService::StubInterface& stub, CallHandle context, std::string digest,
               std::function<void(absl::StatusOr<TextAssets>)> done) {
  auto assembly = std::make_shared<CardAssembly>();
  auto failed = std::make_shared<bool>(false);
  ClientStream<v1::GetModelCardResponse>::Start(
      std::move(context), v1::GetModelCardRequest(),
      [&stub](grpc::ClientContext* ctx, const v1::GetModelCardRequest* request, auto* reactor) {
        stub.async()->GetModelCard(ctx, request, reactor);
      },
      [assembly, failed](const v1::GetModelCardResponse& piece) {
        *failed = *failed || !assembly->Add(piece);
        return !*failed;
      },
      [assembly, failed, digest = std::move(digest),
       done = std::move(done)](const grpc::Status& status) {
        if (!status.ok() && !*failed) return done(rpc::FromGrpcStatus(status));
        done(assembly->Finish(digest));
      });
}

}  // namespace banyan::router
