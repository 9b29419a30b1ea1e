// One model as this router serves it: its text side, its limits and the workers behind its name.
// All workers of a pool have the same model card and block size. Thread-safe; what is const never
// changes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "banyan/v1/worker_service.grpc.pb.h"
#include "common/text/text_model.h"
#include "router/requests/request_preparation.h"
#include "router/routing/routing_pool.h"

namespace banyan::router {

// How to reach one worker of a pool.
struct WorkerEndpoint {
  std::string worker_id;
  std::string address;
  std::string model_fingerprint;
  std::shared_ptr<v1::WorkerService::StubInterface> stub;
};

class ModelPool {
 public:
  // `info` is what the first worker said; `label` is the pool's name for metrics and operators.
  ModelPool(std::string label, const v1::GetWorkerInfoResponse& info,
            std::shared_ptr<const TextModel> text, const RoutingPool::Options& routing);

  const std::string& label() const { return label_; }
  const std::string& model() const { return info_.model(); }
  // Of the first worker; what differs between workers is in their endpoints.
  const v1::GetWorkerInfoResponse& info() const { return info_; }
  const TextModel& text() const { return *text_; }
  RoutingPool& routing() { return routing_; }
  ModelLimits limits() const {
    // A vocabulary may be padded beyond what the tokenizer can spell.
    const auto spelled = static_cast<uint32_t>(text_->tokenizer->vocabulary_size());
    return {.context_length = info_.context_length(),
            .vocabulary_size = std::min(info_.vocabulary_size(), spelled)};
  }
  PreparationModel ForPreparation(std::string_view cluster_secret) const;
  int64_t created_s() const { return created_s_; }

  void AddEndpoint(WorkerHandle worker, std::shared_ptr<const WorkerEndpoint> endpoint);
  void RemoveEndpoint(WorkerHandle worker);
  // Null when the worker has left.
  std::shared_ptr<const WorkerEndpoint> FindEndpoint(WorkerHandle worker) const;
  size_t num_endpoints() const;

 private:
  const std::string label_;
  const v1::GetWorkerInfoResponse info_;
  const std::shared_ptr<const TextModel> text_;
  const int64_t created_s_;
  RoutingPool routing_;
  mutable std::mutex mutex_;
  std::map<uint32_t, std::pair<uint32_t, std::shared_ptr<const WorkerEndpoint>>>
      endpoints_;  // by slot: generation and endpoint
};

}  // namespace banyan::router
