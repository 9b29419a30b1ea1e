#include "router/worker_registry.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/log.h"
#include "common/rpc/channel.h"
#include "common/rpc/errors.h"
#include "common/rpc/field_checks.h"
#include "common/rpc/listen_address.h"
#include "common/rpc/request_id.h"

namespace banyan::router {
namespace {

using rpc::Error;
using rpc::ErrorReason;

constexpr std::string_view kDnsPrefix = "dns:///";
constexpr size_t kTextModelsMax = 16;
constexpr size_t kWorkerIdBytesMax = 128;
constexpr uint32_t kBlockTokensMax = 256;

// What a worker says of itself, as far as we build on it.
absl::Status CheckInfo(const v1::GetWorkerInfoResponse& info) {
  const auto wrong = [](const std::string& what) {
    return absl::FailedPreconditionError("GetWorkerInfo: " + what);
  };
  if (info.worker_id().empty() || info.worker_id().size() > kWorkerIdBytesMax) {
    return wrong("worker_id must be 1 to 128 bytes");
  }
  if (info.model().empty() || info.model().size() > kModelNameBytesMax) {
    return wrong("model must be 1 to 256 bytes");
  }
  if (info.block_size_tokens() < 1 || info.block_size_tokens() > kBlockTokensMax) {
    return wrong(
        absl::StrFormat("block_size_tokens must be 1 to 256, is %d", info.block_size_tokens()));
  }
  if (info.context_length() < 2 || info.vocabulary_size() < 1) {
    return wrong("context_length and vocabulary_size must be set");
  }
  return absl::OkStatus();
}

}  // namespace

WorkerRegistry::WorkerRegistry(Options options, const Clock& clock, WorkPool& work_pool,
                               RouterMetrics& metrics)
    : options_(std::move(options)),
      clock_(clock),
      metrics_(metrics),
      shared_{
          .router_id = rpc::NewRandomId(),
          .clock = clock,
          .admission = *this,
          .work_pool = work_pool,
          .pending = pending_,
          .connect =
              [](const std::string& address) {
                return std::shared_ptr<v1::WorkerService::StubInterface>(v1::WorkerService::NewStub(
                    rpc::CreateChannel(address, rpc::ChannelProfile::kWorker)));
              }},
      thread_([this] { Run(); }) {}

WorkerRegistry::~WorkerRegistry() {
  std::vector<std::unique_ptr<DnsDiscovery>> discoveries;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    discoveries.swap(discoveries_);
  }
  discoveries.clear();
  stop_.notify_all();
  thread_.join();
  for (const auto& connection : Connections()) connection->Close();
  pending_.Wait();
}

void WorkerRegistry::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    bool lost = false;
    for (const auto& connection : Connections()) {
      connection->Tick();
      lost = connection->TakeLost() || lost;
    }
    RefreshMetrics();
    lock.lock();
    if (lost) {
      for (const auto& discovery : discoveries_) discovery->ResolveNow();
    }
    stop_.wait_for(lock, options_.tick, [this] { return stopping_; });
  }
}

absl::Status WorkerRegistry::AddTarget(const std::string& target) {
  if (!target.starts_with(kDnsPrefix)) return AddWorker(target, options_.pool_label).status();
  const std::string name = target.substr(kDnsPrefix.size());
  const auto address = rpc::ParseListenAddress(name, "--workers");
  if (!address.ok()) return address.status();
  auto discovery = std::make_unique<DnsDiscovery>(
      address->host, std::to_string(address->port), ResolveByDns,
      [this](const std::vector<std::string>& addresses) { Discover(addresses); });
  const std::lock_guard lock(mutex_);
  discoveries_.push_back(std::move(discovery));
  return absl::OkStatus();
}

void WorkerRegistry::Discover(const std::vector<std::string>& addresses) {
  for (const std::string& address : addresses) {
    const auto added = AddWorker(address, options_.pool_label);
    if (!added.ok()) continue;
    const std::lock_guard lock(mutex_);
    discovered_.push_back(address);
  }
  // A worker that DNS no longer names and that is gone leaves the list; one that still answers
  // stays until it drains.
  std::vector<std::shared_ptr<WorkerConnection>> gone;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(connections_, [&](const std::shared_ptr<WorkerConnection>& connection) {
      const std::string& address = connection->address();
      const auto known = std::find(discovered_.begin(), discovered_.end(), address);
      if (known == discovered_.end() ||
          std::find(addresses.begin(), addresses.end(), address) != addresses.end()) {
        return false;
      }
      const v1::WorkerHealth health = connection->Describe().health();
      if (health != v1::WORKER_HEALTH_EJECTED && health != v1::WORKER_HEALTH_CONNECTING) {
        return false;
      }
      discovered_.erase(known);
      addresses_.erase(connection->worker_id());
      gone.push_back(connection);
      return true;
    });
  }
  for (const auto& connection : gone) connection->Close();
}

absl::StatusOr<std::shared_ptr<WorkerConnection>> WorkerRegistry::AddWorker(
    const std::string& address, const std::string& pool_label) {
  const auto parsed = rpc::ParseListenAddress(address, "worker address");
  if (!parsed.ok()) return rpc::WithReason(parsed.status(), ErrorReason::kInvalidField);
  std::shared_ptr<WorkerConnection> connection;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& known : connections_) {
      if (known->address() != address) continue;
      return Error(ErrorReason::kWorkerExists, "address: is known already: " + address).ToStatus();
    }
    if (connections_.size() == kWorkersMax) {
      return Error(ErrorReason::kQueueFull,
                   absl::StrFormat("workers: limit %d reached", kWorkersMax))
          .ToStatus();
    }
    connection = std::make_shared<WorkerConnection>(
        shared_, address, pool_label.empty() ? options_.pool_label : pool_label);
    connections_.push_back(connection);
  }
  connection->Tick();
  return connection;
}

absl::Status WorkerRegistry::RemoveWorker(const std::string& worker_id) {
  std::shared_ptr<WorkerConnection> connection = FindWorker(worker_id);
  if (connection == nullptr) {
    return Error(ErrorReason::kWorkerNotFound, "worker_id: no worker " + rpc::QuoteValue(worker_id))
        .Resource("worker", worker_id)
        .ToStatus();
  }
  {
    const std::lock_guard lock(mutex_);
    std::erase(connections_, connection);
    std::erase(discovered_, connection->address());
    addresses_.erase(worker_id);
  }
  connection->Close();
  return absl::OkStatus();
}

std::vector<std::shared_ptr<WorkerConnection>> WorkerRegistry::Connections() const {
  const std::lock_guard lock(mutex_);
  return connections_;
}

std::shared_ptr<WorkerConnection> WorkerRegistry::FindWorker(const std::string& worker_id) const {
  for (const auto& connection : Connections()) {
    if (connection->worker_id() == worker_id) return connection;
  }
  return nullptr;
}

absl::StatusOr<std::shared_ptr<ModelPool>> WorkerRegistry::FindModel(
    const std::string& model) const {
  const std::lock_guard lock(mutex_);
  if (model.empty() && pools_.size() == 1) return pools_.begin()->second;
  if (model.empty() && !pools_.empty()) {
    return rpc::InvalidField("model",
                             absl::StrFormat("empty, and %d models are served", pools_.size()));
  }
  if (pools_.empty()) {
    return Error(ErrorReason::kNoWorker, "no worker has joined yet")
        .RetryAfter(std::chrono::seconds(1))
        .ToStatus();
  }
  const auto found = pools_.find(model);
  if (found == pools_.end()) {
    return Error(ErrorReason::kModelNotFound, "model: not served: " + rpc::QuoteValue(model))
        .Resource("model", model.substr(0, kModelNameBytesMax))
        .ToStatus();
  }
  return found->second;
}

std::vector<std::shared_ptr<ModelPool>> WorkerRegistry::Pools() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<ModelPool>> pools;
  for (const auto& [model, pool] : pools_) pools.push_back(pool);
  return pools;
}

std::vector<v1::Worker> WorkerRegistry::DescribeWorkers() const {
  std::vector<v1::Worker> workers;
  for (const auto& connection : Connections()) workers.push_back(connection->Describe());
  std::sort(workers.begin(), workers.end(), [](const v1::Worker& a, const v1::Worker& b) {
    return std::forward_as_tuple(a.pool(), a.info().worker_id(), a.address()) <
           std::forward_as_tuple(b.pool(), b.info().worker_id(), b.address());
  });
  return workers;
}

uint32_t WorkerRegistry::num_ready_workers() const {
  uint32_t num_ready = 0;
  for (const auto& pool : Pools()) num_ready += pool->routing().num_ready_workers(clock_.Now());
  return num_ready;
}

bool WorkerRegistry::NeedsCard(const v1::GetWorkerInfoResponse& info) {
  const std::lock_guard lock(mutex_);
  return !text_models_.contains(info.model_card_digest());
}

absl::Status WorkerRegistry::AddCard(const v1::GetWorkerInfoResponse& info,
                                     const TextAssets& assets) {
  auto text = options_.load_text_model(assets);
  if (!text.ok()) return text.status();
  const std::lock_guard lock(mutex_);
  // Pools keep what they use; the rest is only a saving.
  if (text_models_.size() >= kTextModelsMax) text_models_.clear();
  text_models_[info.model_card_digest()] = *std::move(text);
  return absl::OkStatus();
}

absl::Status WorkerRegistry::CheckAgainst(const ModelPool& pool,
                                          const v1::GetWorkerInfoResponse& info) const {
  if (info.model_card_digest() != pool.info().model_card_digest()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("model card %s, and the pool of model \"%s\" has %s",
                        info.model_card_digest(), pool.model(), pool.info().model_card_digest()));
  }
  if (info.block_size_tokens() != pool.info().block_size_tokens()) {
    return absl::FailedPreconditionError(
        absl::StrFormat("block size %d, and the pool of model \"%s\" has %d",
                        info.block_size_tokens(), pool.model(), pool.info().block_size_tokens()));
  }
  return absl::OkStatus();
}

absl::StatusOr<WorkerAdmission::Place> WorkerRegistry::Admit(const v1::GetWorkerInfoResponse& info,
                                                             const std::string& address,
                                                             const std::string& pool_label,
                                                             const std::optional<Place>& previous) {
  if (absl::Status status = CheckInfo(info); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  const auto [owner, is_new] = addresses_.emplace(info.worker_id(), address);
  if (!is_new && owner->second != address) {
    return absl::FailedPreconditionError(
        absl::StrFormat("worker id \"%s\" is taken by %s", info.worker_id(), owner->second));
  }
  // A process that came back under another name leaves the old one.
  std::erase_if(addresses_, [&](const auto& entry) {
    return entry.second == address && entry.first != info.worker_id();
  });
  const auto found = pools_.find(info.model());
  std::shared_ptr<ModelPool> pool = found == pools_.end() ? nullptr : found->second;
  const bool stays = previous.has_value() && previous->pool == pool;
  if (pool != nullptr) {
    absl::Status status = CheckAgainst(*pool, info);
    if (status.ok() && stays && !is_new) return *previous;
    // Where nobody else is left, the model may become another one under its name.
    if (!status.ok() && pool->num_endpoints() > (stays ? 1u : 0u)) {
      if (is_new) addresses_.erase(owner);
      return status;
    }
    if (!status.ok()) pool = nullptr;
  }
  if (pool == nullptr) {
    const auto text = text_models_.find(info.model_card_digest());
    if (text == text_models_.end()) {
      return absl::UnavailableError("its model card was dropped meanwhile");
    }
    RoutingPool::Options routing = options_.routing;
    routing.block_size = info.block_size_tokens();
    pool = std::make_shared<ModelPool>(pool_label, info, text->second, routing);
    pools_[info.model()] = pool;
  }
  if (previous.has_value()) {
    previous->pool->RemoveEndpoint(previous->handle);
    previous->pool->routing().RemoveWorker(previous->handle);
  }
  return Place{pool, pool->routing().AddWorker(info.worker_id())};
}

void WorkerRegistry::OnResync(ModelPool& pool, const std::string& worker_id, ResyncCause cause) {
  metrics_.CountResync(pool.label(), worker_id, cause);
  Log(LogSeverity::kInfo, "cache_stream_begun_anew")
      .Field("worker", worker_id)
      .Field("cause", NameOf(cause));
}

v1::TreeState WorkerRegistry::DescribeTree() const {
  v1::TreeState tree;
  for (const auto& pool : Pools()) {
    tree.set_nodes(tree.nodes() + pool->routing().tree_runs());
    tree.set_bytes(tree.bytes() + pool->routing().tree_bytes());
    tree.set_bytes_max(tree.bytes_max() + options_.routing.tree.bytes_max);
  }
  return tree;
}

void WorkerRegistry::RefreshMetrics() {
  uint64_t evictions = 0;
  for (const auto& pool : Pools()) evictions += pool->routing().tree_evictions();
  const v1::TreeState tree = DescribeTree();
  metrics_.SetTree(tree.nodes(), tree.bytes(), tree.bytes_max(), evictions);
  metrics_.SetWorkers(DescribeWorkers());
}

}  // namespace banyan::router
