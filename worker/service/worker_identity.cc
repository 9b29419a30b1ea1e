#include "worker/service/worker_identity.h"

#include "common/base/block_hash.h"

namespace banyan::worker {

v1::GetWorkerInfoResponse ToWire(const WorkerIdentity& identity) {
  const auto count = [](int32_t value) { return static_cast<uint32_t>(value); };
  v1::GetWorkerInfoResponse wire;
  wire.set_worker_id(identity.worker_id);
  wire.set_epoch(identity.epoch);
  wire.set_version(identity.version);
  wire.set_model(identity.model);
  wire.set_model_fingerprint(identity.model_fingerprint);
  wire.set_model_card_digest(identity.model_card_digest);
  wire.set_architecture(identity.architecture);
  wire.set_weight_format(identity.weight_format);
  wire.set_kv_format(identity.kv_format);
  wire.set_backend(identity.backend);
  wire.set_tensor_parallel_size(1);
  wire.set_context_length(count(identity.context_length));
  wire.set_vocabulary_size(count(identity.vocabulary_size));
  wire.set_hidden_size(count(identity.hidden_size));
  wire.set_block_size_tokens(count(identity.block_size));
  wire.set_num_kv_blocks(count(identity.num_blocks));
  wire.set_block_hash_version(kBlockHashVersion);
  wire.set_max_running_sequences(count(identity.max_running_sequences));
  wire.set_max_step_tokens(count(identity.max_step_tokens));
  wire.set_max_waiting_requests(count(identity.max_waiting_requests));
  wire.set_supports_embeddings(false);
  return wire;
}

}  // namespace banyan::worker
