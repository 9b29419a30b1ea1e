// A GGUF file as a Checkpoint: llama.cpp's tensor names become Hugging Face's.
#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/checkpoint/gguf_config.h"
#include "common/checkpoint/gguf_header.h"
#include "common/checkpoint/mapped_checkpoint.h"
#include "common/checkpoint/tensor_encoding.h"

namespace banyan {
namespace {

constexpr std::string_view kRopeDivisorsTensor = "rope_freqs.weight";

constexpr std::pair<std::string_view, std::string_view> kTopNames[] = {
    {"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}};
constexpr std::pair<std::string_view, std::string_view> kLayerNames[] = {
    {"attn_q", "self_attn.q_proj"},          {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},          {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},     {"attn_k_norm", "self_attn.k_norm"},
    {"ffn_gate", "mlp.gate_proj"},           {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},           {"attn_norm", "input_layernorm"},
    {"ffn_norm", "post_attention_layernorm"}};

// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight"; an unknown name stays as it
// is, and is refused later as none of the model's.
std::string HfName(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::string(name);
  std::string_view stem = name.substr(0, dot);
  const std::string_view suffix = name.substr(dot);
  for (const auto& [gguf, hf] : kTopNames) {
    if (stem == gguf) return absl::StrFormat("%s%s", hf, suffix);
  }
  constexpr std::string_view kBlock = "blk.";
  if (!stem.starts_with(kBlock)) return std::string(name);
  stem.remove_prefix(kBlock.size());
  const size_t separator = stem.find('.');
  if (separator == std::string_view::npos) return std::string(name);
  for (const auto& [gguf, hf] : kLayerNames) {
    if (stem.substr(separator + 1) == gguf) {
      return absl::StrFormat("model.layers.%s.%s%s", stem.substr(0, separator), hf, suffix);
    }
  }
  return std::string(name);
}

bool IsRotated(std::string_view hf_name) {
  return hf_name.find(".self_attn.q_proj.") != std::string_view::npos ||
         hf_name.find(".self_attn.k_proj.") != std::string_view::npos;
}

absl::Status Bad(std::string_view file, std::string_view tensor, std::string_view expected,
                 std::string_view found) {
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: tensor %s: expected %s, found %s", file, tensor, expected, found));
}

absl::StatusOr<TensorView> ViewOf(const GgufHeader& header, const GgufTensorInfo& info,
                                  const MappedFile& file) {
  const std::optional<TensorEncoding> encoding = EncodingOfGgmlType(info.ggml_type);
  if (!encoding) {
    return absl::UnimplementedError(
        absl::StrFormat("%s: tensor %s: GGML type %u is not read; expected F32, F16, BF16, Q4_0, "
                        "Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to "
                        "Q6_K, IQ4_NL or IQ4_XS",
                        file.path(), info.name, info.ggml_type));
  }
  const std::optional<int64_t> bytes = EncodedBytes(*encoding, info.shape);
  if (!bytes) {
    return Bad(file.path(), info.name,
               absl::StrFormat("rows of whole blocks of %d values", BlockOf(*encoding).values),
               absl::StrFormat("%d columns", info.shape.back()));
  }
  if (info.offset % header.alignment() != 0) {
    return Bad(file.path(), info.name,
               absl::StrFormat("an offset aligned to %u", header.alignment()),
               absl::StrFormat("%u", info.offset));
  }
  const uint64_t room =
      file.bytes().size() > header.data_offset() ? file.bytes().size() - header.data_offset() : 0;
  if (info.offset > room || static_cast<uint64_t>(*bytes) > room - info.offset) {
    return Bad(file.path(), info.name,
               absl::StrFormat("%d bytes at offset %u", *bytes, info.offset),
               absl::StrFormat("%u bytes of tensor data in the file", room));
  }
  TensorView tensor;
  tensor.name = HfName(info.name);
  tensor.encoding = *encoding;
  tensor.shape = info.shape;
  tensor.data =
      file.bytes().subspan(header.data_offset() + info.offset, static_cast<size_t>(*bytes));
  return tensor;
}

absl::Status CheckOverlaps(std::span<const TensorView> tensors, std::string_view file) {
  std::vector<const TensorView*> order;
  for (const TensorView& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order, {}, [](const TensorView* tensor) { return tensor->data.data(); });
  for (size_t i = 1; i < order.size(); ++i) {
    if (order[i - 1]->data.data() + order[i - 1]->data.size() > order[i]->data.data()) {
      return Bad(file, order[i]->name, "data of its own",
                 absl::StrFormat("an overlap with %s", order[i - 1]->name));
    }
  }
  return absl::OkStatus();
}

// Takes the rotation divisors out of the tensors into the configuration.
absl::Status TakeRopeDivisors(std::string_view file, MappedCheckpoint::Parts& parts) {
  const auto it = std::ranges::find(parts.tensors, kRopeDivisorsTensor, &TensorView::name);
  if (it == parts.tensors.end()) return absl::OkStatus();
  const std::vector<int64_t> shape = {parts.config.head_size / 2};
  if (it->encoding != TensorEncoding::kF32 || it->shape != shape) {
    return Bad(file, kRopeDivisorsTensor, absl::StrFormat("%d values in f32", shape[0]),
               "another shape or encoding");
  }
  std::vector<float>& divisors = parts.config.rope_frequency_divisors;
  divisors.resize(static_cast<size_t>(shape[0]));
  std::memcpy(divisors.data(), it->data.data(), it->data.size());
  for (const float divisor : divisors) {
    if (!(divisor > 0 && divisor < 1e9f)) {
      return Bad(file, kRopeDivisorsTensor, "finite values above 0",
                 absl::StrFormat("%g", divisor));
    }
  }
  parts.tensors.erase(it);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Checkpoint>> OpenGguf(const std::filesystem::path& path) {
  BANYAN_ASSIGN_OR_RETURN(std::unique_ptr<MappedFile> file, MappedFile::Open(path));
  BANYAN_ASSIGN_OR_RETURN(const GgufHeader header, GgufHeader::Parse(file->bytes(), file->path()));
  MappedCheckpoint::Parts parts;
  BANYAN_ASSIGN_OR_RETURN(parts.config, ParseGgufConfig(header, file->path()));
  if (parts.config.name.empty()) parts.config.name = path.stem().string();
  for (const GgufTensorInfo& info : header.tensors()) {
    BANYAN_ASSIGN_OR_RETURN(TensorView tensor, ViewOf(header, info, *file));
    // llama.cpp's converter interleaves q and k for the architectures that it runs with adjacent
    // rotation pairs.
    if (parts.config.architecture_name == "llama" && IsRotated(tensor.name)) {
      tensor.row_order = RowOrder::kInterleavedPairs;
      tensor.rows_per_head = parts.config.head_size;
    }
    parts.tensors.push_back(std::move(tensor));
  }
  BANYAN_RETURN_IF_ERROR(CheckOverlaps(parts.tensors, file->path()));
  BANYAN_RETURN_IF_ERROR(TakeRopeDivisors(file->path(), parts));
  // A file without tensor data may end before the padding does.
  const uint64_t header_bytes =
      std::min<uint64_t>({header.data_offset(), file->bytes().size(), kTextAssetBytesMax});
  const std::string source = file->path();
  parts.text_assets.assets.push_back(
      {std::string(kGgufHeaderAsset),
       {reinterpret_cast<const char*>(file->bytes().data()), header_bytes}});
  parts.files.push_back(std::move(file));
  return MappedCheckpoint::Create(std::move(parts), source);
}

}  // namespace banyan
