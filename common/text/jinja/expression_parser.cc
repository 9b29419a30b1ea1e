#include "common/text/jinja/expression_parser.h"

#include <charconv>
#include <optional>

#include "common/base/status_macros.h"
#include "common/text/jinja/builtins.h"

namespace banyan::jinja {
namespace {

std::optional<Operator> CompareOperator(const Token& token) {
  if (token.type == TokenType::kName) {
    if (token.text == "in") return Operator::kIn;
    return std::nullopt;
  }
  if (token.type != TokenType::kOperator) return std::nullopt;
  if (token.text == "==") return Operator::kEqual;
  if (token.text == "!=") return Operator::kNotEqual;
  if (token.text == "<") return Operator::kLess;
  if (token.text == "<=") return Operator::kLessEqual;
  if (token.text == ">") return Operator::kGreater;
  if (token.text == ">=") return Operator::kGreaterEqual;
  return std::nullopt;
}

std::optional<Operator> ProductOperator(const TokenCursor& cursor) {
  if (cursor.IsOperator("*")) return Operator::kMultiply;
  if (cursor.IsOperator("/")) return Operator::kDivide;
  if (cursor.IsOperator("//")) return Operator::kFloorDivide;
  if (cursor.IsOperator("%")) return Operator::kModulo;
  return std::nullopt;
}

// The digits of an integer literal with its 0x, 0o or 0b; nullopt if it does not fit 127 bits.
std::optional<BigInt> IntegerLiteral(std::string_view text) {
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char prefix = static_cast<char>(text[1] | 0x20);
    base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    if (base != 10) text.remove_prefix(2);
  }
  if (text.empty()) return std::nullopt;
  BigInt value = 0;
  for (const char c : text) {
    const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    if (digit >= base || __builtin_mul_overflow(value, static_cast<BigInt>(base), &value) ||
        __builtin_add_overflow(value, static_cast<BigInt>(digit), &value)) {
      return std::nullopt;
    }
  }
  return value;
}

}  // namespace

absl::Status ExpressionParser::TooDeep() const {
  return cursor_.Fail(absl::StrFormat("nested deeper than %d levels", kMaxNesting));
}

absl::StatusOr<Expr*> ExpressionParser::ParseExpression() {
  return Nested([this] { return ParseCondition(); });
}

absl::StatusOr<Expr*> ExpressionParser::ParseUnconditional() {
  return Nested([this] { return ParseOr(); });
}

absl::StatusOr<Expr*> ExpressionParser::ParseCondition() {
  BANYAN_ASSIGN_OR_RETURN(Expr * expr, ParseOr());
  while (cursor_.IsName("if")) {
    Expr* condition = tree_.NewExpr(Expr::Kind::kCondition, cursor_.line());
    cursor_.Advance();
    BANYAN_ASSIGN_OR_RETURN(Expr * test, ParseOr());
    condition->operands = {test, expr};
    if (cursor_.SkipName("else")) {
      BANYAN_ASSIGN_OR_RETURN(Expr * otherwise, ParseExpression());
      condition->operands.push_back(otherwise);
    }
    expr = condition;
  }
  return expr;
}

absl::StatusOr<Expr*> ExpressionParser::ParseOr() {
  BANYAN_ASSIGN_OR_RETURN(Expr * left, ParseAnd());
  if (!cursor_.IsName("or")) return left;
  Expr* result = tree_.NewExpr(Expr::Kind::kOr, cursor_.line());
  result->operands = {left};
  while (cursor_.SkipName("or")) {
    BANYAN_ASSIGN_OR_RETURN(Expr * right, ParseAnd());
    result->operands.push_back(right);
  }
  return result;
}

absl::StatusOr<Expr*> ExpressionParser::ParseAnd() {
  BANYAN_ASSIGN_OR_RETURN(Expr * left, ParseNot());
  if (!cursor_.IsName("and")) return left;
  Expr* result = tree_.NewExpr(Expr::Kind::kAnd, cursor_.line());
  result->operands = {left};
  while (cursor_.SkipName("and")) {
    BANYAN_ASSIGN_OR_RETURN(Expr * right, ParseNot());
    result->operands.push_back(right);
  }
  return result;
}

absl::StatusOr<Expr*> ExpressionParser::ParseNot() {
  if (!cursor_.IsName("not")) return ParseCompare();
  Expr* result = tree_.NewExpr(Expr::Kind::kNot, cursor_.line());
  cursor_.Advance();
  BANYAN_ASSIGN_OR_RETURN(Expr * operand, Nested([this] { return ParseNot(); }));
  result->operands = {operand};
  return result;
}

absl::StatusOr<Expr*> ExpressionParser::ParseCompare() {
  const int32_t line = cursor_.line();
  BANYAN_ASSIGN_OR_RETURN(Expr * left, ParseSum());
  Expr* result = left;
  while (true) {
    std::optional<Operator> op = CompareOperator(cursor_.current());
    if (!op && cursor_.IsName("not") && cursor_.next().type == TokenType::kName &&
        cursor_.next().text == "in") {
      op = Operator::kNotIn;
      cursor_.Advance();
    }
    if (!op) return result;
    cursor_.Advance();
    BANYAN_ASSIGN_OR_RETURN(Expr * right, ParseSum());
    if (result == left) {
      result = tree_.NewExpr(Expr::Kind::kCompare, line);
      result->operands = {left};
    }
    result->operators.push_back(*op);
    result->operands.push_back(right);
  }
}

Expr* ExpressionParser::NewBinary(Operator op, Expr* left, Expr* right, int32_t line) {
  Expr* result = tree_.NewExpr(Expr::Kind::kBinary, line);
  result->operators = {op};
  result->operands = {left, right};
  return result;
}

absl::StatusOr<Expr*> ExpressionParser::ParseSum() {
  BANYAN_ASSIGN_OR_RETURN(Expr * left, ParseConcat());
  while (cursor_.IsOperator("+") || cursor_.IsOperator("-")) {
    const Operator op = cursor_.IsOperator("+") ? Operator::kAdd : Operator::kSubtract;
    const int32_t line = cursor_.line();
    cursor_.Advance();
    BANYAN_ASSIGN_OR_RETURN(Expr * right, ParseConcat());
    left = NewBinary(op, left, right, line);
  }
  return left;
}

absl::StatusOr<Expr*> ExpressionParser::ParseConcat() {
  BANYAN_ASSIGN_OR_RETURN(Expr * left, ParseProduct());
  if (!cursor_.IsOperator("~")) return left;
  Expr* result = tree_.NewExpr(Expr::Kind::kConcat, cursor_.line());
  result->operands = {left};
  while (cursor_.SkipOperator("~")) {
    BANYAN_ASSIGN_OR_RETURN(Expr * right, ParseProduct());
    result->operands.push_back(right);
  }
  return result;
}

absl::StatusOr<Expr*> ExpressionParser::ParseProduct() {
  BANYAN_ASSIGN_OR_RETURN(Expr * left, ParsePower());
  while (const std::optional<Operator> op = ProductOperator(cursor_)) {
    const int32_t line = cursor_.line();
    cursor_.Advance();
    BANYAN_ASSIGN_OR_RETURN(Expr * right, ParsePower());
    left = NewBinary(*op, left, right, line);
  }
  return left;
}

absl::StatusOr<Expr*> ExpressionParser::ParsePower() {
  BANYAN_ASSIGN_OR_RETURN(Expr * left, ParseUnary(Filters::kYes));
  while (cursor_.IsOperator("**")) {
    const int32_t line = cursor_.line();
    cursor_.Advance();
    BANYAN_ASSIGN_OR_RETURN(Expr * right, ParseUnary(Filters::kYes));
    left = NewBinary(Operator::kPower, left, right, line);
  }
  return left;
}

absl::StatusOr<Expr*> ExpressionParser::ParseUnary(Filters filters) {
  Expr* expr = nullptr;
  if (cursor_.IsOperator("-") || cursor_.IsOperator("+")) {
    expr = tree_.NewExpr(cursor_.IsOperator("-") ? Expr::Kind::kNegate : Expr::Kind::kPlus,
                         cursor_.line());
    cursor_.Advance();
    BANYAN_ASSIGN_OR_RETURN(Expr * operand, Nested([this] { return ParseUnary(Filters::kNo); }));
    expr->operands = {operand};
  } else {
    BANYAN_ASSIGN_OR_RETURN(expr, ParsePrimary());
  }
  BANYAN_ASSIGN_OR_RETURN(expr, ParsePostfix(expr));
  return filters == Filters::kYes ? ParseFilterAndTests(expr) : expr;
}

absl::StatusOr<Expr*> ExpressionParser::ParsePrimary() {
  const Token& token = cursor_.current();
  switch (token.type) {
    case TokenType::kName:
      return ParseName();
    case TokenType::kInteger:
    case TokenType::kFloat:
      return ParseNumber();
    case TokenType::kString: {
      Expr* expr = tree_.NewExpr(Expr::Kind::kConstant, token.line);
      std::string text;
      for (; cursor_.Is(TokenType::kString); cursor_.Advance()) text += cursor_.current().text;
      expr->constant = Value::Str(tree_.NewText(text));
      return expr;
    }
    case TokenType::kOperator:
      if (token.text == "(") return ParseParentheses();
      if (token.text == "[") return ParseList();
      if (token.text == "{") return ParseDict();
      break;
    default:
      break;
  }
  return cursor_.Fail(absl::StrFormat("expected an expression, got %s", DescribeToken(token)));
}

absl::StatusOr<Expr*> ExpressionParser::ParseName() {
  const Token& token = cursor_.current();
  Expr* expr = tree_.NewExpr(Expr::Kind::kConstant, token.line);
  if (token.text == "true" || token.text == "True") {
    expr->constant = Value::Bool(true);
  } else if (token.text == "false" || token.text == "False") {
    expr->constant = Value::Bool(false);
  } else if (token.text == "none" || token.text == "None") {
    expr->constant = Value::None();
  } else {
    expr->kind = Expr::Kind::kName;
    expr->symbol = tree_.Intern(token.text);
    expr->name = tree_.NameOf(expr->symbol);
    for (MacroDefinition* macro : open_macros) {
      macro->takes_varargs |= expr->symbol == tree_.well_known().varargs;
      macro->takes_kwargs |= expr->symbol == tree_.well_known().kwargs;
      macro->takes_caller |= expr->symbol == tree_.well_known().caller;
    }
  }
  cursor_.Advance();
  return expr;
}

absl::StatusOr<Expr*> ExpressionParser::ParseNumber() {
  const Token& token = cursor_.current();
  Expr* expr = tree_.NewExpr(Expr::Kind::kConstant, token.line);
  if (token.type == TokenType::kInteger) {
    const std::optional<BigInt> value = IntegerLiteral(token.text);
    if (!value) return cursor_.Fail(absl::StrFormat("bad integer '%s'", token.text));
    expr->constant = MakeInt(tree_.arena(), *value);
  } else {
    double value = 0;
    const char* const end = token.text.data() + token.text.size();
    const auto [stop, error] = std::from_chars(token.text.data(), end, value);
    if (error != std::errc() || stop != end) {
      return cursor_.Fail(absl::StrFormat("bad number '%s'", token.text));
    }
    expr->constant = Value::Float(value);
  }
  cursor_.Advance();
  return expr;
}

absl::StatusOr<Expr*> ExpressionParser::ParseParentheses() {
  const int32_t line = cursor_.line();
  BANYAN_RETURN_IF_ERROR(cursor_.ExpectOperator("("));
  Expr* expr = nullptr;
  if (cursor_.IsOperator(")")) {
    expr = tree_.NewExpr(Expr::Kind::kTuple, line);
  } else {
    BANYAN_ASSIGN_OR_RETURN(expr, ParseTuple(Conditional::kYes));
  }
  BANYAN_RETURN_IF_ERROR(cursor_.ExpectOperator(")"));
  return expr;
}

bool ExpressionParser::AtTupleEnd(std::string_view end_name) const {
  return cursor_.Is(TokenType::kOutputEnd) || cursor_.Is(TokenType::kBlockEnd) ||
         cursor_.IsOperator(")") || (!end_name.empty() && cursor_.IsName(end_name));
}

absl::StatusOr<Expr*> ExpressionParser::ParseTuple(Conditional conditional,
                                                   std::string_view end_name) {
  const int32_t line = cursor_.line();
  const auto parse = [&] {
    return conditional == Conditional::kYes ? ParseExpression() : ParseUnconditional();
  };
  BANYAN_ASSIGN_OR_RETURN(Expr * first, parse());
  if (!cursor_.IsOperator(",")) return first;
  Expr* tuple = tree_.NewExpr(Expr::Kind::kTuple, line);
  tuple->operands = {first};
  while (cursor_.SkipOperator(",")) {
    if (AtTupleEnd(end_name)) break;
    BANYAN_ASSIGN_OR_RETURN(Expr * item, parse());
    tuple->operands.push_back(item);
  }
  return tuple;
}

absl::StatusOr<Expr*> ExpressionParser::ParseList() {
  Expr* list = tree_.NewExpr(Expr::Kind::kList, cursor_.line());
  BANYAN_RETURN_IF_ERROR(cursor_.ExpectOperator("["));
  while (!cursor_.IsOperator("]")) {
    BANYAN_ASSIGN_OR_RETURN(Expr * item, ParseExpression());
    list->operands.push_back(item);
    if (!cursor_.SkipOperator(",")) break;
  }
  BANYAN_RETURN_IF_ERROR(cursor_.ExpectOperator("]"));
  return list;
}

absl::StatusOr<Expr*> ExpressionParser::ParseDict() {
  Expr* dict = tree_.NewExpr(Expr::Kind::kDict, cursor_.line());
  BANYAN_RETURN_IF_ERROR(cursor_.ExpectOperator("{"));
  while (!cursor_.IsOperator("}")) {
    BANYAN_ASSIGN_OR_RETURN(Expr * key, ParseExpression());
    BANYAN_RETURN_IF_ERROR(cursor_.ExpectOperator(":"));
    BANYAN_ASSIGN_OR_RETURN(Expr * value, ParseExpression());
    dict->operands.push_back(key);
    dict->operands.push_back(value);
    if (!cursor_.SkipOperator(",")) break;
  }
  BANYAN_RETURN_IF_ERROR(cursor_.ExpectOperator("}"));
  return dict;
}

}  // namespace banyan::jinja
