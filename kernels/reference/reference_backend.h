// The reference backend: every op as plain loops on one thread, float32 accumulation. It is the
// specification that cpu/ and cuda/ are tested against, and is itself tested against logits made by
// Hugging Face Transformers. Use it for tests and tiny models.
#pragma once

#include <memory>

#include "kernels/backend.h"

namespace banyan::kernels {

// `activation` is the dtype of activations, weights and KV. With kBFloat16 they are rounded to
// nearest even where they are stored; arithmetic stays float32.
std::unique_ptr<Backend> CreateReferenceBackend(DType activation);

}  // namespace banyan::kernels
