// Any text read as config.json and generation_config.json gives a configuration within its bounds,
// or one bounded error. Input: a JSON document, read as both.
#include <cstddef>
#include <cstdint>

#include "common/base/check.h"
#include "common/checkpoint/hf_config.h"
#include "common/checkpoint/model_config_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace banyan;
  constexpr size_t kErrorBytesMax = 2048;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto config = ParseHfConfig(text, "config.json");
  if (!config.ok()) {
    BANYAN_CHECK(!config.status().message().empty());
    BANYAN_CHECK_LE(config.status().message().size(), kErrorBytesMax);
    return 0;
  }
  BANYAN_CHECK(CheckModelConfig(*config, "config.json").ok());
  BANYAN_CHECK_EQ(config->num_heads % config->num_kv_heads, 0);
  BANYAN_CHECK_EQ(config->sliding_window.size(), static_cast<size_t>(config->num_layers));
  GenerationDefaults defaults;
  if (ParseGenerationConfig(text, "generation_config.json", *config, defaults).ok()) {
    BANYAN_CHECK(!defaults.temperature || *defaults.temperature >= 0);
  }
  return 0;
}
