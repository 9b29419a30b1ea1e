// The names that every layer uses for tokens and KV blocks.
#pragma once

#include <cstdint>

namespace banyan {

// Index into the model's vocabulary, [0, vocabulary size). The wire carries it as uint32.
using TokenId = int32_t;

// Index of a KV block in a worker's pool, [0, number of blocks).
enum class BlockId : int32_t {};

// A sequence (one sample of one request) inside one engine; unique for the life of the engine.
enum class SequenceId : int64_t {};

}  // namespace banyan
