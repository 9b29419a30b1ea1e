// Makes small GGUF files in memory, good and bad ones, for tests and seed corpora.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace banyan::testing {

// A file of its own that goes with the object.
class ScratchFile {
 public:
  ScratchFile() {
    std::string name = (std::filesystem::temp_directory_path() / "banyan_test_XXXXXX").string();
    const int fd = ::mkstemp(name.data());
    if (fd >= 0) ::close(fd);
    path_ = name;
  }
  ~ScratchFile() { std::filesystem::remove(path_); }
  const std::filesystem::path& path() const { return path_; }
  void Write(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

 private:
  std::filesystem::path path_;
};

class GgufBuilder {
 public:
  // A complete one-layer Llama with weights of zero: hidden 8, heads 2 of 4, 1 KV head,
  // vocabulary 5.
  static GgufBuilder TinyLlama() {
    GgufBuilder builder;
    builder.String("general.architecture", "llama");
    builder.Uint32("llama.block_count", 1);
    builder.Uint32("llama.embedding_length", 8);
    builder.Uint32("llama.feed_forward_length", 12);
    builder.Uint32("llama.attention.head_count", 2);
    builder.Uint32("llama.attention.head_count_kv", 1);
    builder.Uint32("llama.context_length", 64);
    builder.Float32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    builder.Uint32("tokenizer.ggml.eos_token_id", 2);
    builder.AddTensor("token_embd.weight", {8, 5});
    builder.AddTensor("output_norm.weight", {8});
    builder.AddTensor("blk.0.attn_q.weight", {8, 8});
    builder.AddTensor("blk.0.attn_k.weight", {8, 4});
    builder.AddTensor("blk.0.attn_v.weight", {8, 4});
    builder.AddTensor("blk.0.attn_output.weight", {8, 8});
    builder.AddTensor("blk.0.attn_norm.weight", {8});
    builder.AddTensor("blk.0.ffn_norm.weight", {8});
    builder.AddTensor("blk.0.ffn_gate.weight", {8, 12});
    builder.AddTensor("blk.0.ffn_up.weight", {8, 12});
    builder.AddTensor("blk.0.ffn_down.weight", {12, 8});
    return builder;
  }

  void String(const std::string& key, const std::string& value) {
    Key(key, 8);
    AppendString(values_, value);
  }
  void Uint32(const std::string& key, uint32_t value) {
    Key(key, 4);
    Append(values_, value);
  }
  void Float32(const std::string& key, float value) {
    Key(key, 6);
    Append(values_, value);
  }
  // An entry of the tensor table, dimensions innermost first; nothing is checked.
  void Tensor(const std::string& name, const std::vector<uint64_t>& dimensions, uint32_t type,
              uint64_t offset) {
    AppendString(tensors_, name);
    Append(tensors_, static_cast<uint32_t>(dimensions.size()));
    for (const uint64_t dimension : dimensions) Append(tensors_, dimension);
    Append(tensors_, type);
    Append(tensors_, offset);
    ++num_tensors_;
  }
  // A float32 tensor with room in the data.
  void AddTensor(const std::string& name, const std::vector<uint64_t>& dimensions) {
    Tensor(name, dimensions, 0, data_bytes_);
    uint64_t bytes = 4;
    for (const uint64_t dimension : dimensions) bytes *= dimension;
    data_bytes_ += (bytes + 31) / 32 * 32;
  }

  std::string HeaderBytes() const {
    std::string out = "GGUF";
    Append(out, uint32_t{3});
    Append(out, num_tensors_);
    Append(out, num_values_);
    return out + values_ + tensors_;
  }
  std::string FileBytes() const {
    std::string out = HeaderBytes();
    out.resize((out.size() + 31) / 32 * 32 + data_bytes_);
    return out;
  }

 private:
  template <typename T>
  static void Append(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  static void AppendString(std::string& out, const std::string& text) {
    Append(out, static_cast<uint64_t>(text.size()));
    out += text;
  }
  void Key(const std::string& key, uint32_t type) {
    AppendString(values_, key);
    Append(values_, type);
    ++num_values_;
  }

  std::string values_;
  std::string tensors_;
  uint64_t num_values_ = 0;
  uint64_t num_tensors_ = 0;
  uint64_t data_bytes_ = 0;
};

}  // namespace banyan::testing
