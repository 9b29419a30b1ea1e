// A Checkpoint over mapped files: what both spellings end in.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/checkpoint/checkpoint.h"
#include "common/checkpoint/mapped_file.h"

namespace banyan {

class MappedCheckpoint final : public Checkpoint {
 public:
  struct Parts {
    ModelConfig config;
    GenerationDefaults generation_defaults;
    TextAssets text_assets;
    std::vector<std::unique_ptr<MappedFile>> files;
    std::vector<TensorView> tensors;  // in `files`
  };

  // Sorts the tensors, refuses a name that stands twice, and checks them against the architecture.
  // `source` stands in errors.
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Create(Parts parts, std::string_view source);

  const ModelConfig& config() const override { return parts_.config; }
  const GenerationDefaults& generation_defaults() const override {
    return parts_.generation_defaults;
  }
  const TextAssets& text_assets() const override { return parts_.text_assets; }
  std::span<const TensorView> tensors() const override { return parts_.tensors; }
  const TensorView* FindTensor(std::string_view name) const override;
  std::string weight_format() const override;
  size_t size_bytes() const override;
  void Release(const TensorView& tensor) const override;

 private:
  explicit MappedCheckpoint(Parts parts) : parts_(std::move(parts)) {}

  const Parts parts_;
};

// The two spellings.
absl::StatusOr<std::unique_ptr<Checkpoint>> OpenGguf(const std::filesystem::path& path);
absl::StatusOr<std::unique_ptr<Checkpoint>> OpenHfDirectory(const std::filesystem::path& path);

}  // namespace banyan
