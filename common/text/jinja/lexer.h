// Cuts a template into tokens, with Jinja's white-space control as chat templates are rendered:
// trim_blocks and lstrip_blocks on, one trailing newline dropped, "\r\n" and "\r" read as "\n"
// (Jinja documentation, "Whitespace Control").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace banyan::jinja {

enum class TokenType : uint8_t {
  kText,
  kOutputBegin,
  kOutputEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,   // text: decoded
  kInteger,  // text: as written, without `_`
  kFloat,
  kOperator,  // text: the operator
  kEnd,
};

struct Token {
  TokenType type = TokenType::kEnd;
  int32_t line = 1;  // from 1
  std::string text;
};

// Newlines normalised and the trailing one dropped: what LexTemplate wants.
std::string NormalizeNewlines(std::string_view source);

// INVALID_ARGUMENT with the line. The last token is kEnd.
absl::StatusOr<std::vector<Token>> LexTemplate(std::string_view normalized_source);

// For messages: "end of print statement", "'foo'".
std::string DescribeToken(const Token& token);

}  // namespace banyan::jinja
