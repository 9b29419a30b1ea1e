// What this worker is: constant while the process lives.
#pragma once

#include <cstdint>
#include <string>

#include "banyan/v1/worker_service.pb.h"

namespace banyan::worker {

struct WorkerIdentity {
  std::string worker_id;
  uint64_t epoch = 0;  // random per process, never 0
  std::string version;
  std::string model;  // name under which it is served
  std::string model_fingerprint;
  std::string model_card_digest;
  std::string architecture;
  std::string weight_format;
  std::string kv_format;
  std::string backend;
  int32_t context_length = 0;
  int32_t vocabulary_size = 0;
  int32_t hidden_size = 0;
  int32_t block_size = 16;  // tokens
  int32_t num_blocks = 0;
  int32_t max_running_sequences = 0;
  int32_t max_step_tokens = 0;
  int32_t max_waiting_requests = 0;
};

v1::GetWorkerInfoResponse ToWire(const WorkerIdentity& identity);

}  // namespace banyan::worker
