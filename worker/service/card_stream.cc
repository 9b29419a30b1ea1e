#include "worker/service/card_stream.h"

#include <algorithm>
#include <utility>

namespace banyan::worker {

CardStream::CardStream(std::vector<const ModelCard::Asset*> assets) : assets_(std::move(assets)) {
  WriteNext();
}

void CardStream::OnWriteDone(bool ok) {
  if (ok) {
    WriteNext();
  } else {
    Finish(grpc::Status::CANCELLED);
  }
}

void CardStream::WriteNext() {
  if (asset_ == assets_.size()) return Finish(grpc::Status::OK);
  const ModelCard::Asset& asset = *assets_[asset_];
  const size_t count = std::min(kCardPieceBytesMax, asset.bytes.size() - offset_);
  message_.Clear();
  message_.set_name(asset.name);
  message_.set_data(asset.bytes.substr(offset_, count));
  offset_ += count;
  if (offset_ == asset.bytes.size()) {
    message_.set_sha256(asset.sha256);
    ++asset_;
    offset_ = 0;
  }
  StartWrite(&message_);
}

}  // namespace banyan::worker
