// Early return on a failed absl::Status or absl::StatusOr.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// BANYAN_RETURN_IF_ERROR(file.Read(&header));
#define BANYAN_RETURN_IF_ERROR(expression)                                  \
  do {                                                                      \
    if (absl::Status banyan_status_ = (expression); !banyan_status_.ok()) { \
      return banyan_status_;                                                \
    }                                                                       \
  } while (false)

#define BANYAN_MACRO_CONCAT_INNER_(a, b) a##b
#define BANYAN_MACRO_CONCAT_(a, b) BANYAN_MACRO_CONCAT_INNER_(a, b)

// BANYAN_ASSIGN_OR_RETURN(std::string text, file.ReadAll());
#define BANYAN_ASSIGN_OR_RETURN(target, expression) \
  BANYAN_ASSIGN_OR_RETURN_(BANYAN_MACRO_CONCAT_(banyan_status_or_, __LINE__), target, expression)
#define BANYAN_ASSIGN_OR_RETURN_(temporary, target, expression) \
  auto temporary = (expression);                                \
  if (!temporary.ok()) return std::move(temporary).status();    \
  target = *std::move(temporary)
