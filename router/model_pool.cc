#include "router/model_pool.h"

#include <chrono>
#include <utility>

namespace banyan::router {

ModelPool::ModelPool(std::string label, const v1::GetWorkerInfoResponse& info,
                     std::shared_ptr<const TextModel> text, const RoutingPool::Options& routing)
    : label_(std::move(label)),
      info_(info),
      text_(std::move(text)),
      created_s_(std::chrono::duration_cast<std::chrono::seconds>(
                     std::chrono::system_clock::now().time_since_epoch())
                     .count()),
      routing_(routing) {}

PreparationModel ModelPool::ForPreparation(std::string_view cluster_secret) const {
  return {.text = *text_,
          .limits = limits(),
          .block_size = info_.block_size_tokens(),
          .hashes_known = info_.block_hash_version() == kBlockHashVersion,
          .fingerprint = info_.model_fingerprint(),
          .cluster_secret = cluster_secret};
}

void ModelPool::AddEndpoint(WorkerHandle worker, std::shared_ptr<const WorkerEndpoint> endpoint) {
  const std::lock_guard lock(mutex_);
  endpoints_[worker.slot] = {worker.generation, std::move(endpoint)};
}

void ModelPool::RemoveEndpoint(WorkerHandle worker) {
  const std::lock_guard lock(mutex_);
  const auto found = endpoints_.find(worker.slot);
  if (found != endpoints_.end() && found->second.first == worker.generation) {
    endpoints_.erase(found);
  }
}

std::shared_ptr<const WorkerEndpoint> ModelPool::FindEndpoint(WorkerHandle worker) const {
  const std::lock_guard lock(mutex_);
  const auto found = endpoints_.find(worker.slot);
  if (found == endpoints_.end() || found->second.first != worker.generation) return nullptr;
  return found->second.second;
}

size_t ModelPool::num_endpoints() const {
  const std::lock_guard lock(mutex_);
  return endpoints_.size();
}

}  // namespace banyan::router
