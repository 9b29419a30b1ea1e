#include "worker/service/model_fingerprint.h"

#include <algorithm>
#include <span>

#include "absl/strings/str_format.h"
#include "common/rpc/digest.h"

namespace banyan::worker {
namespace {

// Bumped whenever the definition changes.
constexpr std::string_view kDefinition = "banyan-fingerprint-1";
constexpr size_t kEndBytes = 4096;
constexpr size_t kPieceBytes = 512;
constexpr size_t kNumPieces = 8;

std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Everything of the configuration that changes a token. %a is exact.
std::string Describe(const ModelConfig& config) {
  const RopeScaling& rope = config.rope_scaling;
  std::string text = absl::StrFormat(
      "%d %d %d %d %d %d %d %d %d %a %a | %d %a %d %a %a %a %a %a | %d",
      static_cast<int>(config.architecture), config.vocabulary_size, config.hidden_size,
      config.intermediate_size, config.num_layers, config.num_heads, config.num_kv_heads,
      config.head_size, config.context_length, config.norm_epsilon, config.rope_theta,
      static_cast<int>(rope.type), rope.factor, rope.original_context_length, rope.low_freq_factor,
      rope.high_freq_factor, rope.beta_fast, rope.beta_slow, rope.attention_factor.value_or(-1),
      config.tied_embeddings ? 1 : 0);
  for (const int64_t window : config.sliding_window) text += absl::StrFormat(" w%d", window);
  for (const float divisor : config.rope_frequency_divisors) {
    text += absl::StrFormat(" r%a", static_cast<double>(divisor));
  }
  for (const TokenId token : config.eos_token_ids) text += absl::StrFormat(" e%d", token);
  return text;
}

void AddSamples(std::span<const std::byte> data, rpc::Sha256& hash) {
  if (data.size() <= 2 * kEndBytes + kNumPieces * kPieceBytes) {
    hash.UpdateField(AsText(data));
    return;
  }
  hash.UpdateField(AsText(data.first(kEndBytes)));
  const size_t middle = data.size() - 2 * kEndBytes - kPieceBytes;
  for (size_t i = 0; i < kNumPieces; ++i) {
    const size_t at = kEndBytes + middle / kNumPieces * i;
    hash.UpdateField(AsText(data.subspan(at, kPieceBytes)));
  }
  hash.UpdateField(AsText(data.last(kEndBytes)));
}

}  // namespace

std::string ModelFingerprint(const Checkpoint& checkpoint, std::string_view card_digest,
                             std::string_view numerics_id, std::string_view kv_format) {
  rpc::Sha256 hash;
  hash.UpdateField(kDefinition)
      .UpdateField(Describe(checkpoint.config()))
      .UpdateField(card_digest)
      .UpdateField(numerics_id)
      .UpdateField(kv_format);
  for (const TensorView& tensor : checkpoint.tensors()) {
    std::string shape;
    for (const int64_t size : tensor.shape) shape += absl::StrFormat("%d,", size);
    hash.UpdateField(tensor.name)
        .UpdateField(TensorEncodingName(tensor.encoding))
        .UpdateField(shape)
        .UpdateField(
            absl::StrFormat("%d %d", static_cast<int>(tensor.row_order), tensor.data.size()));
    AddSamples(tensor.data, hash);
  }
  return hash.FinishHex();
}

}  // namespace banyan::worker
