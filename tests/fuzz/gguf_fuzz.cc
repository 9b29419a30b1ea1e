// Any bytes parse as a GGUF header or fail with a bounded error; every value of an accepted header
// can be asked for as every type. Input: the head of a GGUF file.
#include <cstddef>
#include <cstdint>

#include "common/base/check.h"
#include "common/checkpoint/gguf_config.h"
#include "common/checkpoint/gguf_header.h"

namespace banyan {
namespace {

constexpr size_t kErrorBytesMax = 1024;

void CheckError(const absl::Status& status) {
  BANYAN_CHECK(!status.message().empty());
  BANYAN_CHECK_LE(status.message().size(), kErrorBytesMax);
}

void ReadValues(const GgufHeader& header) {
  for (const char* key : {"general.architecture", "general.name", "general.alignment", "t.arr_i32",
                          "t.arr_str", "t.arr_f32", "t.arr_bool", "tokenizer.ggml.tokens"}) {
    const GgufValue* value = header.Find(key);
    if (value == nullptr) continue;
    const auto strings = header.Strings(key);
    if (strings.ok()) BANYAN_CHECK_EQ((*strings)->size(), value->count);
    const auto integers = header.Integers(key);
    if (integers.ok()) BANYAN_CHECK_EQ((*integers)->size(), value->count);
    const auto floats = header.Floats(key);
    if (floats.ok()) BANYAN_CHECK_EQ((*floats)->size(), value->count);
    // One value has one kind.
    BANYAN_CHECK_LE(
        int{header.String(key).ok()} + int{header.Bool(key).ok()} + int{header.Real(key).ok()}, 1);
  }
}

}  // namespace
}  // namespace banyan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace banyan;
  const auto header = GgufHeader::Parse(std::as_bytes(std::span(data, size)), "fuzz.gguf");
  if (!header.ok()) {
    CheckError(header.status());
    return 0;
  }
  for (const GgufTensorInfo& tensor : header->tensors()) {
    BANYAN_CHECK(!tensor.name.empty() && !tensor.shape.empty() && tensor.shape.size() <= 4);
  }
  ReadValues(*header);
  const auto config = ParseGgufConfig(*header, "fuzz.gguf");
  if (!config.ok()) CheckError(config.status());
  return 0;
}
