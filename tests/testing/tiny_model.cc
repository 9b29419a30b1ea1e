#include "tests/testing/tiny_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <span>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "kernels/philox.h"
#include "tests/testing/tiny_tokenizer.h"

namespace banyan::testing {
namespace {

constexpr int64_t kMistralWindow = 32;

struct TinyTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// Builds tensors of uniform random values; tensor i of a seed is always the same.
class TensorMaker {
 public:
  explicit TensorMaker(uint64_t seed) : seed_(seed) {}

  // Values around `centre` with standard deviation `deviation`.
  void Add(std::string name, std::vector<int64_t> shape, float centre, float deviation) {
    int64_t size = 1;
    for (int64_t dim : shape) size *= dim;
    TinyTensor tensor{std::move(name), std::move(shape), {}};
    tensor.values.reserve(static_cast<size_t>(size));
    const kernels::NoiseKey key{seed_, static_cast<uint32_t>(tensors_.size()), 0};
    const float width = deviation * std::sqrt(12.0f);
    for (int64_t i = 0; i < size; ++i) {
      const uint32_t quad = static_cast<uint32_t>(i / 4);
      const uint32_t bits = kernels::NoiseBits(key, quad)[static_cast<size_t>(i % 4)];
      const float uniform = static_cast<float>(bits >> 8) * 0x1p-24f - 0.5f;
      tensor.values.push_back(centre + width * uniform);
    }
    tensors_.push_back(std::move(tensor));
  }
  // A matrix whose outputs keep the size of its inputs, more or less.
  void AddLinear(std::string name, int64_t rows, int64_t cols, float gain) {
    Add(std::move(name), {rows, cols}, 0, gain / std::sqrt(static_cast<float>(cols)));
  }
  std::vector<TinyTensor> Take() { return std::move(tensors_); }

 private:
  uint64_t seed_;
  std::vector<TinyTensor> tensors_;
};

void AddLayer(const TinyModelOptions& o, int64_t layer, TensorMaker& maker) {
  const std::string prefix = absl::StrFormat("model.layers.%d.", layer);
  const std::string attn = prefix + "self_attn.";
  const int64_t q_rows = o.num_heads * o.head_size;
  const int64_t kv_rows = o.num_kv_heads * o.head_size;
  maker.Add(prefix + "input_layernorm.weight", {o.hidden_size}, 1, 0.2f);
  maker.AddLinear(attn + "q_proj.weight", q_rows, o.hidden_size, 1.3f);
  maker.AddLinear(attn + "k_proj.weight", kv_rows, o.hidden_size, 1.3f);
  maker.AddLinear(attn + "v_proj.weight", kv_rows, o.hidden_size, 1.3f);
  if (o.architecture == Architecture::kQwen2) {
    maker.Add(attn + "q_proj.bias", {q_rows}, 0, 0.3f);
    maker.Add(attn + "k_proj.bias", {kv_rows}, 0, 0.3f);
    maker.Add(attn + "v_proj.bias", {kv_rows}, 0, 0.3f);
  }
  if (o.architecture == Architecture::kQwen3) {
    maker.Add(attn + "q_norm.weight", {o.head_size}, 1, 0.2f);
    maker.Add(attn + "k_norm.weight", {o.head_size}, 1, 0.2f);
  }
  maker.AddLinear(attn + "o_proj.weight", o.hidden_size, q_rows, 1.3f);
  maker.Add(prefix + "post_attention_layernorm.weight", {o.hidden_size}, 1, 0.2f);
  maker.AddLinear(prefix + "mlp.gate_proj.weight", o.intermediate_size, o.hidden_size, 1.3f);
  maker.AddLinear(prefix + "mlp.up_proj.weight", o.intermediate_size, o.hidden_size, 1.3f);
  maker.AddLinear(prefix + "mlp.down_proj.weight", o.hidden_size, o.intermediate_size, 1.3f);
}

std::vector<TinyTensor> MakeTensors(const TinyModelOptions& o) {
  TensorMaker maker(o.seed);
  maker.Add("model.embed_tokens.weight", {TinyVocabularySize(), o.hidden_size}, 0, 1);
  for (int64_t layer = 0; layer < o.num_layers; ++layer) AddLayer(o, layer, maker);
  maker.Add("model.norm.weight", {o.hidden_size}, 1, 0.2f);
  if (!o.tied_embeddings) {
    maker.AddLinear("lm_head.weight", TinyVocabularySize(), o.hidden_size, 3);
  }
  std::vector<TinyTensor> tensors = maker.Take();
  std::sort(tensors.begin(), tensors.end(),
            [](const TinyTensor& a, const TinyTensor& b) { return a.name < b.name; });
  return tensors;
}

struct ArchitectureNames {
  std::string class_name;
  std::string model_type;
};

ArchitectureNames NamesOf(Architecture architecture) {
  switch (architecture) {
    case Architecture::kLlama:
      return {"LlamaForCausalLM", "llama"};
    case Architecture::kMistral:
      return {"MistralForCausalLM", "mistral"};
    case Architecture::kQwen2:
      return {"Qwen2ForCausalLM", "qwen2"};
    case Architecture::kQwen3:
      return {"Qwen3ForCausalLM", "qwen3"};
  }
  return {};
}

std::string ConfigJson(const TinyModelOptions& o) {
  const ArchitectureNames names = NamesOf(o.architecture);
  std::string json = absl::StrFormat(
      "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"%s\",\n  \"vocab_size\": %d,\n"
      "  \"hidden_size\": %d,\n  \"intermediate_size\": %d,\n  \"num_hidden_layers\": %d,\n"
      "  \"num_attention_heads\": %d,\n  \"num_key_value_heads\": %d,\n  \"head_dim\": %d,\n"
      "  \"max_position_embeddings\": %d,\n  \"rms_norm_eps\": 1e-05,\n"
      "  \"rope_theta\": 10000.0,\n  \"rope_scaling\": null,\n  \"hidden_act\": \"silu\",\n",
      names.class_name, names.model_type, TinyVocabularySize(), o.hidden_size, o.intermediate_size,
      o.num_layers, o.num_heads, o.num_kv_heads, o.head_size, o.context_length);
  if (o.architecture == Architecture::kMistral) {
    json += absl::StrFormat("  \"sliding_window\": %d,\n", kMistralWindow);
  }
  return json + absl::StrFormat(
                    "  \"tie_word_embeddings\": %s,\n  \"bos_token_id\": null,\n"
                    "  \"eos_token_id\": %d,\n  \"torch_dtype\": \"float32\"\n}\n",
                    o.tied_embeddings ? "true" : "false", kTinyTurnEnd);
}

std::string GenerationConfigJson() {
  return absl::StrFormat("{\"eos_token_id\": [%d, %d]}\n", kTinyTurnEnd, kTinyEndOfText);
}

TextAssets MakeTextAssets(const TinyModelOptions& options) {
  return {{{"chat_template.jinja", TinyChatTemplate()},
           {"config.json", ConfigJson(options)},
           {"generation_config.json", GenerationConfigJson()},
           {"tokenizer.json", TinyTokenizerJson()},
           {"tokenizer_config.json", TinyTokenizerConfigJson()}}};
}

ModelConfig MakeConfig(const TinyModelOptions& o) {
  ModelConfig config;
  config.architecture = o.architecture;
  config.architecture_name = NamesOf(o.architecture).model_type;
  config.name = o.name;
  config.vocabulary_size = TinyVocabularySize();
  config.hidden_size = o.hidden_size;
  config.intermediate_size = o.intermediate_size;
  config.num_layers = o.num_layers;
  config.num_heads = o.num_heads;
  config.num_kv_heads = o.num_kv_heads;
  config.head_size = o.head_size;
  config.context_length = o.context_length;
  const int64_t window = o.architecture == Architecture::kMistral ? kMistralWindow : 0;
  config.sliding_window.assign(static_cast<size_t>(o.num_layers), window);
  config.tied_embeddings = o.tied_embeddings;
  config.eos_token_ids = {kTinyTurnEnd, kTinyEndOfText};
  return config;
}

class TinyCheckpoint final : public Checkpoint {
 public:
  explicit TinyCheckpoint(const TinyModelOptions& options)
      : config_(MakeConfig(options)),
        text_assets_(MakeTextAssets(options)),
        values_(MakeTensors(options)) {
    for (const TinyTensor& tensor : values_) {
      TensorView view;
      view.name = tensor.name;
      view.encoding = TensorEncoding::kF32;
      view.shape = tensor.shape;
      view.data = std::as_bytes(std::span<const float>(tensor.values));
      tensors_.push_back(std::move(view));
    }
  }

  const ModelConfig& config() const override { return config_; }
  const GenerationDefaults& generation_defaults() const override { return generation_defaults_; }
  const TextAssets& text_assets() const override { return text_assets_; }
  std::span<const TensorView> tensors() const override { return tensors_; }
  const TensorView* FindTensor(std::string_view name) const override {
    for (const TensorView& tensor : tensors_) {
      if (tensor.name == name) return &tensor;
    }
    return nullptr;
  }
  std::string weight_format() const override { return "f32"; }
  size_t size_bytes() const override {
    size_t bytes = 0;
    for (const TensorView& tensor : tensors_) bytes += tensor.data.size();
    return bytes;
  }
  void Release(const TensorView&) const override {}

 private:
  const ModelConfig config_;
  const GenerationDefaults generation_defaults_;
  const TextAssets text_assets_;
  const std::vector<TinyTensor> values_;
  std::vector<TensorView> tensors_;
};

absl::Status WriteFile(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (file) return absl::OkStatus();
  return absl::UnavailableError(absl::StrFormat("%s: cannot write", path.string()));
}

// safetensors: 8 bytes of header length (little-endian), a JSON header, then the tensors' bytes.
std::string SafetensorsBytes(std::span<const TensorView> tensors) {
  std::string header = "{\"__metadata__\": {\"format\": \"pt\"}";
  size_t offset = 0;
  for (const TensorView& tensor : tensors) {
    header += absl::StrFormat(
        ", \"%s\": {\"dtype\": \"F32\", \"shape\": [%s], "
        "\"data_offsets\": [%d, %d]}",
        tensor.name, absl::StrJoin(tensor.shape, ", "), offset, offset + tensor.data.size());
    offset += tensor.data.size();
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string bytes;
  for (size_t i = 0; i < 8; ++i)
    bytes.push_back(static_cast<char>(header.size() >> (8 * i) & 0xFF));
  bytes += header;
  for (const TensorView& tensor : tensors) {
    bytes.append(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size());
  }
  return bytes;
}

}  // namespace

int64_t TinyVocabularySize() { return TinyTokenizerSize(); }

std::unique_ptr<Checkpoint> MakeTinyCheckpoint(const TinyModelOptions& options) {
  return std::make_unique<TinyCheckpoint>(options);
}

absl::Status WriteTinyModel(const TinyModelOptions& options,
                            const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrFormat("%s: cannot make directory: %s", directory.string(), error.message()));
  }
  const TinyCheckpoint checkpoint(options);
  for (const TextAsset& asset : checkpoint.text_assets().assets) {
    BANYAN_RETURN_IF_ERROR(WriteFile(directory / asset.name, asset.bytes));
  }
  return WriteFile(directory / "model.safetensors", SafetensorsBytes(checkpoint.tensors()));
}

}  // namespace banyan::testing
