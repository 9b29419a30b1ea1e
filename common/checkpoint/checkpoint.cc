#include "common/checkpoint/checkpoint.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/checkpoint/expected_tensors.h"
#include "common/checkpoint/mapped_checkpoint.h"

namespace banyan {

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Open(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    return absl::NotFoundError(absl::StrFormat("%s: no such file or directory", path.string()));
  }
  return std::filesystem::is_directory(status) ? OpenHfDirectory(path) : OpenGguf(path);
}

absl::StatusOr<std::unique_ptr<Checkpoint>> MappedCheckpoint::Create(Parts parts,
                                                                     std::string_view source) {
  std::erase_if(parts.tensors,
                [](const TensorView& tensor) { return IsIgnoredTensor(tensor.name); });
  std::ranges::sort(parts.tensors, {}, &TensorView::name);
  const auto twice = std::ranges::adjacent_find(parts.tensors, {}, &TensorView::name);
  if (twice != parts.tensors.end()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: tensor %s: expected once, found twice", source, twice->name));
  }
  std::ranges::sort(parts.text_assets.assets, {}, &TextAsset::name);
  BANYAN_RETURN_IF_ERROR(CheckTensors(parts.config, parts.tensors, source));
  return std::unique_ptr<Checkpoint>(new MappedCheckpoint(std::move(parts)));
}

const TensorView* MappedCheckpoint::FindTensor(std::string_view name) const {
  const auto it = std::ranges::lower_bound(parts_.tensors, name, {}, &TensorView::name);
  return it != parts_.tensors.end() && it->name == name ? &*it : nullptr;
}

std::string MappedCheckpoint::weight_format() const {
  std::map<TensorEncoding, size_t> bytes;
  for (const TensorView& tensor : parts_.tensors) {
    if (tensor.shape.size() == 2 && tensor.name.starts_with("model.layers.")) {
      bytes[tensor.encoding] += tensor.data.size();
    }
  }
  const auto most =
      std::ranges::max_element(bytes, {}, [](const auto& entry) { return entry.second; });
  return std::string(most == bytes.end() ? "none" : TensorEncodingName(most->first));
}

size_t MappedCheckpoint::size_bytes() const {
  size_t total = 0;
  for (const TensorView& tensor : parts_.tensors) total += tensor.data.size();
  return total;
}

void MappedCheckpoint::Release(const TensorView& tensor) const {
  for (const auto& file : parts_.files) {
    const std::span<const std::byte> bytes = file->bytes();
    if (tensor.data.data() >= bytes.data() &&
        tensor.data.data() + tensor.data.size() <= bytes.data() + bytes.size()) {
      file->Release(tensor.data);
      return;
    }
  }
}

}  // namespace banyan
