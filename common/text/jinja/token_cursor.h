// A position in the tokens of a template, and the nesting depth of the parser that reads them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/text/jinja/lexer.h"

namespace banyan::jinja {

class TokenCursor {
 public:
  // The last token must be kEnd.
  explicit TokenCursor(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  int32_t line() const { return current().line; }
  void Advance() {
    if (at_ + 1 < tokens_.size()) ++at_;
  }

  bool Is(TokenType type) const { return current().type == type; }
  bool IsOperator(std::string_view op) const {
    return current().type == TokenType::kOperator && current().text == op;
  }
  bool IsName(std::string_view name) const {
    return current().type == TokenType::kName && current().text == name;
  }
  bool Skip(TokenType type) { return SkipIf(Is(type)); }
  bool SkipOperator(std::string_view op) { return SkipIf(IsOperator(op)); }
  bool SkipName(std::string_view name) { return SkipIf(IsName(name)); }

  absl::Status Expect(TokenType type);
  absl::Status ExpectOperator(std::string_view op);
  absl::Status ExpectName(std::string_view name);
  absl::Status Fail(std::string_view cause) const;

 private:
  bool SkipIf(bool matches) {
    if (matches) Advance();
    return matches;
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
};

}  // namespace banyan::jinja
