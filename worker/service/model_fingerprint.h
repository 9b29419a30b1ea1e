// The model fingerprint: 32 hex digits that are equal where two workers give equal tokens for equal
// requests. Only such workers may resume each other's requests.
//
// SHA-256 over: configuration, name, encoding, shape and size of every tensor, samples of its
// bytes (the first and last 4 KiB and eight pieces of 512 bytes between), the model card's digest,
// and the numerics id with the type of the KV cache. Reading whole checkpoints would cost minutes;
// samples of every tensor tell apart any two trainings, fine-tunings or quantizations. They do not
// defend against someone who alters single bytes on purpose.
#pragma once

#include <string>
#include <string_view>

#include "common/checkpoint/checkpoint.h"

namespace banyan::worker {

std::string ModelFingerprint(const Checkpoint& checkpoint, std::string_view card_digest,
                             std::string_view numerics_id, std::string_view kv_format);

}  // namespace banyan::worker
