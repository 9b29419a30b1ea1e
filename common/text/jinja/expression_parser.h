// Parses Jinja expressions by recursive descent; nesting is bounded by kMaxNesting, so hostile
// templates cannot exhaust the stack.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/text/jinja/ast.h"
#include "common/text/jinja/token_cursor.h"

namespace banyan::jinja {

class ExpressionParser {
 public:
  ExpressionParser(TokenCursor& cursor, Template& tree) : cursor_(cursor), tree_(tree) {}

  absl::StatusOr<Expr*> ParseExpression();
  // Without `x if y`, as in loop headers.
  absl::StatusOr<Expr*> ParseUnconditional();
  // `a` or `a, b`; `end_name`: a name that ends it ("" for none).
  enum class Conditional { kNo, kYes };
  absl::StatusOr<Expr*> ParseTuple(Conditional conditional, std::string_view end_name = "");
  // A chain of filters without a first value: `|a|b` or, inline, `a|b`.
  absl::StatusOr<Expr*> ParseFilterChain(Expr* subject, bool starts_inline);

  // Where an unknown filter or test is an error only when it is reached.
  void EnterConditional() { ++conditional_depth_; }
  void LeaveConditional() { --conditional_depth_; }

  // Macros being parsed, innermost last: told which special names their bodies use.
  std::vector<MacroDefinition*> open_macros;

  // What `parse` gives, one level deeper in expressions or blocks.
  template <typename Parse>
  auto Nested(Parse parse) -> decltype(parse()) {
    if (depth_ >= kMaxNesting) return TooDeep();
    ++depth_;
    auto result = parse();
    --depth_;
    return result;
  }

  static constexpr int kMaxNesting = 100;

 private:
  absl::Status TooDeep() const;
  absl::StatusOr<Expr*> ParseCondition();
  absl::StatusOr<Expr*> ParseOr();
  absl::StatusOr<Expr*> ParseAnd();
  absl::StatusOr<Expr*> ParseNot();
  absl::StatusOr<Expr*> ParseCompare();
  absl::StatusOr<Expr*> ParseSum();
  absl::StatusOr<Expr*> ParseConcat();
  absl::StatusOr<Expr*> ParseProduct();
  absl::StatusOr<Expr*> ParsePower();
  enum class Filters { kNo, kYes };
  absl::StatusOr<Expr*> ParseUnary(Filters filters);
  absl::StatusOr<Expr*> ParsePrimary();
  absl::StatusOr<Expr*> ParseNumber();
  absl::StatusOr<Expr*> ParseName();
  absl::StatusOr<Expr*> ParseParentheses();
  absl::StatusOr<Expr*> ParseList();
  absl::StatusOr<Expr*> ParseDict();
  absl::StatusOr<Expr*> ParsePostfix(Expr* subject);
  absl::StatusOr<Expr*> ParseFilterAndTests(Expr* subject);
  absl::StatusOr<Expr*> ParseAttribute(Expr* subject);
  absl::StatusOr<Expr*> ParseSubscript(Expr* subject);
  absl::StatusOr<Expr*> ParseSliceTail(Expr* subject, Expr* begin);
  absl::StatusOr<Expr*> ParseTest(Expr* subject);
  // Appends to operands and named of `call`.
  absl::Status ParseArguments(Expr* call);
  absl::StatusOr<std::string_view> ParseDottedName();
  bool AtTupleEnd(std::string_view end_name) const;
  Expr* NewBinary(Operator op, Expr* left, Expr* right, int32_t line);

  TokenCursor& cursor_;
  Template& tree_;
  int depth_ = 0;
  int conditional_depth_ = 0;
};

}  // namespace banyan::jinja
