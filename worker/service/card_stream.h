// GetModelCard: assets in pieces of at most 256 KiB, the SHA-256 with the last piece of each. Owns
// itself. No lock: the next write starts in the reaction to the last one.
#pragma once

#include <vector>

#include "banyan/v1/worker_service.grpc.pb.h"
#include "worker/service/model_card.h"

namespace banyan::worker {

class CardStream final : public grpc::ServerWriteReactor<v1::GetModelCardResponse> {
 public:
  // The card outlives the stream.
  explicit CardStream(std::vector<const ModelCard::Asset*> assets);

  void OnWriteDone(bool ok) override;
  void OnDone() override { delete this; }

 private:
  void WriteNext();

  const std::vector<const ModelCard::Asset*> assets_;
  size_t asset_ = 0;
  size_t offset_ = 0;
  v1::GetModelCardResponse message_;
};

}  // namespace banyan::worker
