// What follows a value in an expression: attributes, subscripts, calls, filters and tests.
#include "common/base/status_macros.h"
#include "common/text/jinja/builtins.h"
#include "common/text/jinja/expression_parser.h"

namespace banyan::jinja {

absl::StatusOr<Expr*> ExpressionParser::ParsePostfix(Expr* subject) {
  while (true) {
    if (cursor_.IsOperator(".")) {
      BANYAN_ASSIGN_OR_RETURN(subject, ParseAttribute(subject));
    } else if (cursor_.IsOperator("[")) {
      BANYAN_ASSIGN_OR_RETURN(subject, ParseSubscript(subject));
    } else if (cursor_.IsOperator("(")) {
      Expr* call = tree_.NewExpr(Expr::Kind::kCall, cursor_.line());
      call->operands = {subject};
      BANYAN_RETURN_IF_ERROR(ParseArguments(call));
      subject = call;
    } else {
      return subject;
    }
  }
}

absl::StatusOr<Expr*> ExpressionParser::ParseFilterAndTests(Expr* subject) {
  while (true) {
    if (cursor_.IsOperator("|")) {
      BANYAN_ASSIGN_OR_RETURN(subject, ParseFilterChain(subject, false));
    } else if (cursor_.IsName("is")) {
      BANYAN_ASSIGN_OR_RETURN(subject, ParseTest(subject));
    } else if (cursor_.IsOperator("(")) {
      BANYAN_ASSIGN_OR_RETURN(subject, ParsePostfix(subject));
    } else {
      return subject;
    }
  }
}

absl::StatusOr<Expr*> ExpressionParser::ParseAttribute(Expr* subject) {
  const int32_t line = cursor_.line();
  cursor_.Advance();
  const Token& token = cursor_.current();
  if (token.type == TokenType::kName) {
    Expr* attribute = tree_.NewExpr(Expr::Kind::kAttribute, line);
    attribute->operands = {subject};
    attribute->constant = Value::Str(tree_.NewText(token.text));
    attribute->name = attribute->constant.text();
    cursor_.Advance();
    return attribute;
  }
  if (token.type != TokenType::kInteger) {
    return cursor_.Fail(
        absl::StrFormat("expected name or number after '.', got %s", DescribeToken(token)));
  }
  Expr* item = tree_.NewExpr(Expr::Kind::kItem, line);
  BANYAN_ASSIGN_OR_RETURN(Expr * index, ParseNumber());
  item->operands = {subject, index};
  return item;
}

absl::StatusOr<Expr*> ExpressionParser::ParseSubscript(Expr* subject) {
  const int32_t line = cursor_.line();
  BANYAN_RETURN_IF_ERROR(cursor_.ExpectOperator("["));
  Expr* first = nullptr;
  if (!cursor_.IsOperator(":")) {
    BANYAN_ASSIGN_OR_RETURN(first, ParseExpression());
  }
  if (cursor_.IsOperator(":")) return ParseSliceTail(subject, first);
  Expr* key = first;
  if (cursor_.IsOperator(",")) {
    key = tree_.NewExpr(Expr::Kind::kTuple, line);
    key->operands = {first};
    while (cursor_.SkipOperator(",")) {
      BANYAN_ASSIGN_OR_RETURN(Expr * item, ParseExpression());
      key->operands.push_back(item);
    }
  }
  BANYAN_RETURN_IF_ERROR(cursor_.ExpectOperator("]"));
  Expr* item = tree_.NewExpr(Expr::Kind::kItem, line);
  item->operands = {subject, key};
  return item;
}

absl::StatusOr<Expr*> ExpressionParser::ParseSliceTail(Expr* subject, Expr* begin) {
  Expr* slice = tree_.NewExpr(Expr::Kind::kSlice, cursor_.line());
  slice->operands = {subject, begin, nullptr, nullptr};
  for (size_t i = 2; i < 4 && cursor_.SkipOperator(":"); ++i) {
    if (cursor_.IsOperator(":") || cursor_.IsOperator("]")) continue;
    BANYAN_ASSIGN_OR_RETURN(slice->operands[i], ParseExpression());
  }
  BANYAN_RETURN_IF_ERROR(cursor_.ExpectOperator("]"));
  return slice;
}

absl::Status ExpressionParser::ParseArguments(Expr* call) {
  BANYAN_RETURN_IF_ERROR(cursor_.ExpectOperator("("));
  while (!cursor_.IsOperator(")")) {
    if (cursor_.SkipOperator("**")) {
      if (call->star_kwargs != nullptr) return cursor_.Fail("a second '**' argument");
      BANYAN_ASSIGN_OR_RETURN(call->star_kwargs, ParseExpression());
    } else if (cursor_.SkipOperator("*")) {
      if (call->star_args != nullptr) return cursor_.Fail("a second '*' argument");
      BANYAN_ASSIGN_OR_RETURN(call->star_args, ParseExpression());
    } else if (cursor_.Is(TokenType::kName) && cursor_.next().type == TokenType::kOperator &&
               cursor_.next().text == "=") {
      const std::string_view name = tree_.NewText(cursor_.current().text)->view();
      cursor_.Advance();
      cursor_.Advance();
      BANYAN_ASSIGN_OR_RETURN(Expr * value, ParseExpression());
      call->named.emplace_back(name, value);
    } else {
      if (call->star_args != nullptr || call->star_kwargs != nullptr || !call->named.empty()) {
        return cursor_.Fail("a positional argument follows named ones");
      }
      BANYAN_ASSIGN_OR_RETURN(Expr * value, ParseExpression());
      call->operands.push_back(value);
    }
    if (!cursor_.SkipOperator(",")) break;
  }
  return cursor_.ExpectOperator(")");
}

absl::StatusOr<std::string_view> ExpressionParser::ParseDottedName() {
  std::string name = cursor_.current().text;
  BANYAN_RETURN_IF_ERROR(cursor_.Expect(TokenType::kName));
  while (cursor_.SkipOperator(".")) {
    name += "." + cursor_.current().text;
    BANYAN_RETURN_IF_ERROR(cursor_.Expect(TokenType::kName));
  }
  return tree_.NewText(name)->view();
}

absl::StatusOr<Expr*> ExpressionParser::ParseFilterChain(Expr* subject, bool starts_inline) {
  while (starts_inline || cursor_.SkipOperator("|")) {
    starts_inline = false;
    Expr* filter = tree_.NewExpr(Expr::Kind::kFilter, cursor_.line());
    BANYAN_ASSIGN_OR_RETURN(filter->name, ParseDottedName());
    filter->function = FindFilter(filter->name);
    if (filter->function == nullptr && conditional_depth_ == 0) {
      return cursor_.Fail(absl::StrFormat("no filter named '%s'", filter->name));
    }
    filter->operands = {subject};
    if (cursor_.IsOperator("(")) BANYAN_RETURN_IF_ERROR(ParseArguments(filter));
    subject = filter;
  }
  return subject;
}

absl::StatusOr<Expr*> ExpressionParser::ParseTest(Expr* subject) {
  Expr* test = tree_.NewExpr(Expr::Kind::kTest, cursor_.line());
  cursor_.Advance();  // is
  const bool negated = cursor_.SkipName("not");
  BANYAN_ASSIGN_OR_RETURN(test->name, ParseDottedName());
  test->function = FindTest(test->name);
  if (test->function == nullptr && conditional_depth_ == 0) {
    return cursor_.Fail(absl::StrFormat("no test named '%s'", test->name));
  }
  test->operands = {subject};
  const Token& token = cursor_.current();
  const bool is_value = token.type == TokenType::kString || token.type == TokenType::kInteger ||
                        token.type == TokenType::kFloat || cursor_.IsOperator("[") ||
                        cursor_.IsOperator("{") ||
                        (token.type == TokenType::kName && token.text != "else" &&
                         token.text != "or" && token.text != "and" && token.text != "if");
  if (cursor_.IsOperator("(")) {
    BANYAN_RETURN_IF_ERROR(ParseArguments(test));
  } else if (is_value) {
    if (cursor_.IsName("is")) return cursor_.Fail("tests cannot be chained with 'is'");
    BANYAN_ASSIGN_OR_RETURN(Expr * argument, ParsePrimary());
    BANYAN_ASSIGN_OR_RETURN(argument, ParsePostfix(argument));
    test->operands.push_back(argument);
  }
  if (!negated) return test;
  Expr* result = tree_.NewExpr(Expr::Kind::kNot, test->line);
  result->operands = {test};
  return result;
}

}  // namespace banyan::jinja
