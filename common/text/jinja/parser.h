// Template source to tree.
#pragma once

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/text/jinja/ast.h"

namespace banyan::jinja {

inline constexpr size_t kTemplateBytesMax = 1 << 20;

// INVALID_ARGUMENT with line and what was expected; also for templates over kTemplateBytesMax or
// nested too deeply. Inheritance, includes and imports are refused: a chat template is one file.
absl::StatusOr<std::unique_ptr<const Template>> ParseTemplate(std::string_view source);

}  // namespace banyan::jinja
